-- nonce(p, key_id, floor, unit) -> integer as text
-- The next nonce of a key: above every one given before, not below floor, and not
-- below Redis time in the unit the key uses: ms with `unit` zeros after it, or as
-- many as the last nonce shows. So a sequence that was lost restarts above the
-- old one. Text throughout, since it may pass 2^53.
-- Keys: P nonce:<key_id> string
local key, floor, unit = ARGV[1] .. 'nonce:' .. ARGV[2], ARGV[3], tonumber(ARGV[4])

-- Decimal texts without leading zeros: the longer is larger, else compare as text.
local function less(a, b) return #a < #b or (#a == #b and a < b) end

local now = tostring(now_ms())
local last = redis.call('GET', key)
if last then unit = math.max(unit, #last - #now) end
local timed = now .. string.rep('0', unit)
if less(floor, timed) then floor = timed end
if not last or less(last, floor) then
  redis.call('SET', key, floor)
  return floor
end
redis.call('INCR', key)
return redis.call('GET', key)
