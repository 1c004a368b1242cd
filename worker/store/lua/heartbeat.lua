-- heartbeat(p, worker, ttl_ms, digest, keep_ms) -> now, registered
-- Say that a worker lives. `registered` is 0 when Redis does not know the lanes
-- of that digest (at first, or after it lost its data).
-- Keys: P workers zset worker -> ms of its last sign; P registered:<digest>
local p, worker = ARGV[1], ARGV[2]
local now = now_ms()
redis.call('ZADD', p .. 'workers', now, worker)
redis.call('ZREMRANGEBYSCORE', p .. 'workers', '-inf', now - ARGV[3])
return { now, redis.call('PEXPIRE', p .. 'registered:' .. ARGV[4], ARGV[5]) }
