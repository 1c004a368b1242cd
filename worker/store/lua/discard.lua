-- discard(p, id, keep_ms) -> 1 if it was a dead letter
-- Take a dead letter off their list; nothing that is not one. Its record stays
-- for keep_ms.
-- Keys: P dead zset; P job:<id> hash
local p, id, keep = ARGV[1], ARGV[2], tonumber(ARGV[3])
if redis.call('ZREM', p .. 'dead', id) == 0 then return 0 end
redis.call('PEXPIRE', p .. 'job:' .. id, keep)
return 1
