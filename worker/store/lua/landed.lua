-- landed(p, member, sent, rule * n) -> 1
-- A granted request has been answered, so it arrived by now; with sent 0 it
-- never left, and its slots are free again.
-- Keys: P limit:<rule> zset grant -> ms of its latest possible arrival
local p, member, sent = ARGV[1], ARGV[2], ARGV[3]
local now = now_ms()
for i = 4, #ARGV do
  local key = p .. 'limit:' .. ARGV[i]
  if sent == '1' then
    redis.call('ZADD', key, 'XX', now, member)
  else
    redis.call('ZREM', key, member)
  end
end
return 1
