-- reserve(p, member, (rule, max, window_ms) * n) -> wait_ms
-- Take one slot of every rule, or none. 0: go now. Else the ms until the
-- rule that is short has room. Exact sliding windows: never more than `max`
-- grants in any `window_ms`.
-- Keys: P limit:<rule> zset grant -> ms
local p, member = ARGV[1], ARGV[2]
local now = now_ms()
local wait = 0
for i = 3, #ARGV, 3 do
  local key, max, window = p .. 'limit:' .. ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)
  local taken = redis.call('ZCARD', key)
  if taken >= max then
    local freed = redis.call('ZRANGE', key, taken - max, taken - max, 'WITHSCORES')
    wait = math.max(wait, tonumber(freed[2]) + window - now)
  end
end
if wait > 0 then return wait end
for i = 3, #ARGV, 3 do
  local key = p .. 'limit:' .. ARGV[i]
  redis.call('ZADD', key, now, member)
  redis.call('PEXPIRE', key, ARGV[i + 2] + 1000)
end
return 0
