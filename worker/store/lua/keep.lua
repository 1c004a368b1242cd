-- keep(p, index, ms, member * n) -> 1
-- Keep members in an index at that ms.
-- Keys: P <index> zset member -> ms
local p, index, ms = ARGV[1], ARGV[2], ARGV[3]
for i = 4, #ARGV do redis.call('ZADD', p .. index, ms, ARGV[i]) end
return 1
