-- Messages in the broker's queues that wake a worker.
-- Keys: P <queue> list, the broker's

-- Where so many messages wait, workers are awake, or none lives.
local ENOUGH = 32

-- ring(p, queue, bell): wake a worker.
local function ring(p, queue, bell)
  if redis.call('LLEN', p .. queue) < ENOUGH then redis.call('LPUSH', p .. queue, bell) end
end
