-- bury(p, id, reason, raw) -> 1
-- Put a message that no job could be made of straight into the dead letters.
-- Keys: P job:<id> hash, P dead zset id -> ms
local p, id = ARGV[1], ARGV[2]
local now = now_ms()
redis.call('HSET', p .. 'job:' .. id, 'v', 1, 'id', id, 'kind', 'malformed', 'state', 'dead',
  'created_ms', now, 'finished_ms', now, 'outcome', 'REJECTED', 'detail', ARGV[3], 'raw', ARGV[4])
redis.call('ZADD', p .. 'dead', now, id)
return 1
