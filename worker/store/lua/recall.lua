-- recall(p, worker, (rule, window_ms, member, arrives_ms, weight) * n) -> 1
-- After a failover: put the worker's own grants back, those that reached no replica
-- among them. arrives_ms is from now until the latest possible arrival, or less than
-- 0 since then. Once all who lived have reported, slots are given again.
-- Keys: see lib/limits
local p, worker = ARGV[1], ARGV[2]
local now = now_ms()
for i = 3, #ARGV, 5 do
  local key, arrives = p .. 'limit:' .. ARGV[i], tonumber(ARGV[i + 3])
  local keep = ARGV[i + 1] + math.max(arrives, 0) + 3600000
  redis.call('ZADD', key, now + arrives, ARGV[i + 2])
  for more = 1, ARGV[i + 4] - 1 do redis.call('ZADD', key, now + arrives, ARGV[i + 2] .. '.' .. more) end
  if redis.call('PTTL', key) < keep then redis.call('PEXPIRE', key, keep) end
end
if redis.call('SREM', p .. 'owed', worker) == 1 and redis.call('EXISTS', p .. 'owed') == 0 then
  redis.call('DEL', p .. 'lost_ms')
end
return 1
