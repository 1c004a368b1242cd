-- keep(p, index, most, ms, member * n) -> 1, or 0 if there is no room for one more
-- Keep members in an index, those known at the ms that they have (most > 0: a bound, and ms is
-- for new ones alone; most 0: no bound, and ms is for all). ms '' is now.
-- Keys: P <index> zset member -> ms
local p, index, most, ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local key, at = p .. index, ms == '' and now_ms() or ms
if most > 0 and redis.call('ZCARD', key) >= most then return 0 end
for i = 5, #ARGV do
  if most > 0 then redis.call('ZADD', key, 'NX', at, ARGV[i])
  else redis.call('ZADD', key, at, ARGV[i]) end
end
return 1
