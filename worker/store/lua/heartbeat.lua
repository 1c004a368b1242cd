-- heartbeat(p, worker, ttl_ms, digest, keep_ms, born) -> now, registered, born
-- Say that a worker lives. `registered` is 0 when Redis does not know the lanes
-- of that digest (at first, or after it lost its data). `born` names this life of
-- Redis's data: a worker that remembers another has seen them lost, and from then
-- on no rate slot is given until a full window has passed.
-- Keys: P workers zset worker -> ms of its last sign; P registered:<digest>;
-- P born string; P lost_ms string
local p, worker = ARGV[1], ARGV[2]
local now = now_ms()
redis.call('ZADD', p .. 'workers', now, worker)
redis.call('ZREMRANGEBYSCORE', p .. 'workers', '-inf', now - ARGV[3])
local born = redis.call('GET', p .. 'born')
if not born then
  born = worker .. ':' .. now
  redis.call('SET', p .. 'born', born)
  if ARGV[6] ~= '' then redis.call('SET', p .. 'lost_ms', now, 'PX', 3600000) end
end
return { now, redis.call('PEXPIRE', p .. 'registered:' .. ARGV[4], ARGV[5]), born }
