-- heartbeat(p, worker, ttl_ms, digest, keep_ms, born) -> now, registered, born, owes, strays
-- Say that a worker lives. `registered` is 0 when Redis does not know the lanes
-- of that digest (at first, after it lost its data, or where it is to register again). `born` names this life of
-- Redis's data, and ends with the ms at which it began: a worker that remembers
-- another has seen them lost, whichever began the new life, and no rate slot is
-- given until what was granted before it has left the window. `owes` is 1 if after
-- a failover the worker must still report what it had been granted; see recall.lua. `strays` is 1
-- if there are any that a person is to be alerted of; see next_astray.lua.
-- The sign is dated by the worker's own knowledge of shared time: by that others judge
-- whether it has lived through a step; see step.lua.
-- Keys: P workers zset worker -> ms of its last sign; P serving zset digest -> the
-- same; P registered:<digest>; P born string; see lib/limits
--- @constants LATELY_MS OTHERS_MS
--- @include lib/limits
local p, worker, digest = ARGV[1], ARGV[2], ARGV[4]

-- greet_newcomer(p, worker, now): note a worker that has just started and knows no other
-- time than now. It trusts the worker that has seen a step. If none has yet, but workers
-- lived a moment ago by an earlier time, then either all have ended, or Redis's clock has
-- stepped since: no switch is tripped by the difference until a live worker can have reported it.
local function greet_newcomer(p, worker, now)
  local doubt = doubt_ms()
  redis.call('HSET', p .. 'clock:votes', worker, (doubt > 0 and doubt or 'new') .. ' ' .. now)
  redis.call('PEXPIRE', p .. 'clock:votes', LATELY_MS)
  local last = tonumber(redis.call('ZREVRANGE', p .. 'workers', 0, 0, 'WITHSCORES')[2])
  if last and now - last > OTHERS_MS and now - last < LATELY_MS then
    redis.call('HSET', p .. 'clock', 'unseen', now - last, 'unseen_until', now + OTHERS_MS)
  end
end

local now = now_ms()
note_failover(p, now)
if not redis.call('ZSCORE', p .. 'workers', worker) then greet_newcomer(p, worker, now) end
redis.call('ZADD', p .. 'workers', called_ms(), worker)
redis.call('ZREMRANGEBYSCORE', p .. 'workers', '-inf', now - ARGV[3])
redis.call('ZREMRANGEBYSCORE', p .. 'serving', '-inf', now - ARGV[3])
redis.call('ZADD', p .. 'serving', now, digest)
local known, born = ARGV[6], redis.call('GET', p .. 'born')
local lost = known ~= '' and known ~= born
if not born then
  born = worker .. ':' .. now
  redis.call('SET', p .. 'born', born)
end
if lost then
  redis.call('SET', p .. 'lost_ms', string.match(born, '%d+$'), 'PX', 3600000)
  redis.call('DEL', p .. 'owed')
end
local registered = redis.call('PEXPIRE', p .. 'registered:' .. digest, ARGV[5]) == 1
  and redis.call('SISMEMBER', p .. 'registered:' .. digest, '!again') == 0
return { now, registered and 1 or 0, born,
  redis.call('SISMEMBER', p .. 'owed', worker),
  #redis.call('ZRANGEBYSCORE', p .. 'astray', '-inf', now, 'LIMIT', 0, 1) }
