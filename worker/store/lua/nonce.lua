-- nonce(p, key_id, floor) -> integer as text
-- The next nonce of a key: above every one given before, never below floor.
-- With floor '' Redis time in ms. Text, since it may pass 2^53.
-- Keys: P nonce:<key_id> string
local key = ARGV[1] .. 'nonce:' .. ARGV[2]
local floor = ARGV[3] == '' and tostring(now_ms()) or ARGV[3]
local last = redis.call('GET', key)
-- Decimal text without leading zeros: longer is larger, else compare as text.
if not last or #last < #floor or (#last == #floor and last < floor) then
  redis.call('SET', key, floor)
  return floor
end
redis.call('INCR', key)
return redis.call('GET', key)
