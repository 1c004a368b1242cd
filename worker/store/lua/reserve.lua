-- reserve(p, member, flight_ms, (rule, max, window_ms) * n) -> wait_ms
-- Take one slot of every rule, or none. 0: go now. Else the ms until the rule
-- that is short may have room.
-- A grant is not the arrival: until `landed` tells when the exchange had it at
-- the latest, it counts as under way for up to flight_ms. So whatever the
-- jitter, no window of window_ms as counted at the exchange holds more than max.
-- Keys: P limit:<rule> zset grant -> ms of its latest possible arrival
local p, member, flight = ARGV[1], ARGV[2], tonumber(ARGV[3])
local now = now_ms()
local wait = 0
for i = 4, #ARGV, 3 do
  local key, max, window = p .. 'limit:' .. ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window - 1)
  local taken = redis.call('ZCARD', key)
  if taken >= max then
    local freed = redis.call('ZRANGE', key, taken - max, taken - max, 'WITHSCORES')
    wait = math.max(wait, math.min(tonumber(freed[2]), now) + window + 1 - now)
  end
end
if wait > 0 then return wait end
for i = 4, #ARGV, 3 do
  local key = p .. 'limit:' .. ARGV[i]
  redis.call('ZADD', key, now + flight, member)
  redis.call('PEXPIRE', key, ARGV[i + 2] + flight + 1000)
end
return 0
