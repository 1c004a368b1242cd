-- probe(p) -> 1
-- Write, and take it back: an error says why Redis takes no new work.
-- Keys: P job:probe, which is not there afterwards
local key = ARGV[1] .. 'job:probe'
redis.call('HSET', key, 'v', 0)
redis.call('HDEL', key, 'v')
return 1
