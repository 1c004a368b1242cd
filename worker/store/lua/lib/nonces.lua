-- The nonces of API keys: one rising sequence each.
-- Keys:
--   P nonce:<key id>  string  the last nonce
--   P lane:<lane>     hash    beside what lib/lanes has: nonce:<digest>, the key id of the account
--                             as claimants of that digest have it

-- next_nonce(p, name, floor, unit) -> integer as text
-- The next nonce of a key: above every one given before, not below floor, and not
-- below Redis time in the unit the key uses: ms with `unit` zeros after it, or as
-- many as the last nonce shows. So a sequence that was lost restarts above the
-- old one. Text throughout, since it may pass 2^53.
local function next_nonce(p, name, floor, unit)
  local key = p .. 'nonce:' .. name
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
end
