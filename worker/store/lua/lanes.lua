-- Shared by the scripts that move jobs. A lane is one account's queue:
-- "<exchange>:<account>". P is the key prefix.
--   P lanes        zset  lane -> ms at which somebody must next look at it
--   P due:<lane>   zset  job id -> ms at which it is due (a claim moves it on)
--   P lane:<lane>  hash  width (0: any, 1: one request at a time), held_until,
--                        holder, not_before (ms)
--   P job:<id>     hash  the job; see ledger.py
--   P pending:<lane> hash  dedup field -> job id
--   P registered:<digest> set  lanes that the claimant's settings serve

local MAX_VERSION = 1

-- lane_ready(p, lane, now) -> ms from which the lane may be claimed; serial
local function lane_ready(p, lane, now)
  local meta = redis.call('HMGET', p .. 'lane:' .. lane, 'width', 'held_until', 'not_before')
  local ready = tonumber(meta[3] or 0)
  if meta[1] == '1' then ready = math.max(ready, tonumber(meta[2] or 0)) end
  return math.max(ready, now), meta[1] == '1'
end

-- reindex(p, lane, now): put the lane where its first job, its hold and its
-- pause allow. Never before now, so that due lanes are served in turns.
local function reindex(p, lane, now)
  local first = redis.call('ZRANGE', p .. 'due:' .. lane, 0, 0, 'WITHSCORES')
  if not first[1] then
    redis.call('ZREM', p .. 'lanes', lane)
    return
  end
  local ready = lane_ready(p, lane, now)
  redis.call('ZADD', p .. 'lanes', math.max(ready, tonumber(first[2])), lane)
end

-- release(p, lane, holder): give up a hold, if it is still ours.
local function release(p, lane, holder)
  local key = p .. 'lane:' .. lane
  if redis.call('HGET', key, 'holder') == holder then
    redis.call('HDEL', key, 'holder', 'held_until')
  end
end

-- take(p, lane, id, holder, lease, now) -> the job's fields, or nil.
local function take(p, lane, id, holder, lease, now)
  local key = p .. 'job:' .. id
  local state = redis.call('HMGET', key, 'state', 'v', 'claimed_by', 'claimed_ms', 'attempts', 'first_ms')
  if state[1] ~= 'pending' then
    redis.call('ZREM', p .. 'due:' .. lane, id)
    return nil
  end
  if tonumber(state[2]) > MAX_VERSION then
    redis.call('ZADD', p .. 'due:' .. lane, now + 1000, id)
    return nil
  end
  local attempts = tonumber(state[5] or 0)
  if state[3] then
    local line = cjson.encode({
      n = attempts, at_ms = tonumber(state[4]), by = state[3],
      outcome = 'UNKNOWN', detail = 'the worker was lost in mid-attempt',
    })
    redis.call('HSET', key, 'history', (redis.call('HGET', key, 'history') or '') .. line .. '\n', 'lost', 1)
  end
  redis.call('HINCRBY', key, 'claim', 1)
  redis.call('HSET', key, 'claimed_by', holder, 'claimed_ms', now, 'attempts', attempts + 1)
  if not state[6] then redis.call('HSET', key, 'first_ms', now) end
  redis.call('ZADD', p .. 'due:' .. lane, now + lease, id)
  return redis.call('HGETALL', key)
end

-- claim_in(p, digest, lane, id, holder, lease, limit, now) -> list of jobs'
-- fields, or nil when the claimant has not registered the lane. With id '' the
-- earliest due jobs of the lane, else that job if it is due.
local function claim_in(p, digest, lane, id, holder, lease, limit, now)
  if redis.call('SISMEMBER', p .. 'registered:' .. digest, lane) == 0 then return nil end
  local jobs = {}
  local ready, serial = lane_ready(p, lane, now)
  if ready > now then
    reindex(p, lane, now)
    return jobs
  end
  if serial then limit = 1 end
  local ids
  if id == '' then
    ids = redis.call('ZRANGEBYSCORE', p .. 'due:' .. lane, '-inf', now, 'LIMIT', 0, limit)
  else
    local score = redis.call('ZSCORE', p .. 'due:' .. lane, id)
    ids = (score and tonumber(score) <= now) and { id } or {}
  end
  for _, due in ipairs(ids) do
    local job = take(p, lane, due, holder, lease, now)
    if job then jobs[#jobs + 1] = job end
  end
  if serial and #jobs > 0 then
    redis.call('HSET', p .. 'lane:' .. lane, 'holder', holder, 'held_until', now + lease)
  end
  if #ids > 0 then reindex(p, lane, now) end
  return jobs
end

-- claim_any(p, digest, exchange, holder, lease, limit, now) -> jobs, unregistered
-- From the due lane of the exchange that was served longest ago. `unregistered`
-- is a due lane that the claimant has not registered, or ''.
local function claim_any(p, digest, exchange, holder, lease, limit, now)
  local unregistered = ''
  for _, lane in ipairs(redis.call('ZRANGEBYSCORE', p .. 'lanes', '-inf', now)) do
    if string.sub(lane, 1, #exchange + 1) == exchange .. ':' then
      local jobs = claim_in(p, digest, lane, '', holder, lease, limit, now)
      if not jobs then
        unregistered = lane
      elseif #jobs > 0 then
        return jobs, ''
      end
    end
  end
  return {}, unregistered
end
