-- settle(p, id, claim, holder, verb, line, outcome, detail, delay_ms, phase,
--        streak, missing, pause_ms, retention_ms, recent, digest, exchange, lease_ms, limit)
--   -> applied, now, unregistered, tended, job * n
-- Record what an attempt came to, give up its lease and hold, and claim the
-- next due jobs of the exchange (limit 0: none) in the same step.
--   verb  done   the outcome is proven: the job ends
--         again  due after delay_ms, in the given phase
--         wait   not attempted: due as before, the attempt is not counted, and
--                the lane rests for pause_ms
--         dead   to the dead letters
-- A claimant whose lease was taken over may still bring a proof, which is
-- true whoever brings it; whatever else it brings is dropped (applied 0).
-- line is one history entry as JSON, or ''. missing is 1 if the exchange says that
-- it knows no such open order, found if it shows it open, 0 if it says neither.
-- Keys: see lanes.lua; P dead zset id -> ms; P recent list of ended ids
local p, id, claim, holder, verb, line, outcome, detail = unpack(ARGV, 1, 8)
local delay, phase, streak, missing = tonumber(ARGV[9]), ARGV[10], ARGV[11], ARGV[12]
local pause, retention, recent = tonumber(ARGV[13]), tonumber(ARGV[14]), tonumber(ARGV[15])
local digest, exchange, lease, limit = ARGV[16], ARGV[17], tonumber(ARGV[18]), tonumber(ARGV[19])
local now = now_ms()
local key = p .. 'job:' .. id
local job = redis.call('HMGET', key, 'state', 'claim', 'lane', 'kind', 'order_id', 'pair', 'side',
  'history', 'attempts', 'due_ms', 'urgent')
local lane = job[3]
local ours = job[1] == 'pending' and job[2] == claim
-- That an order is closed stays true; that a scope is empty need not.
local scope = job[4] == 'cancel_all'
if scope and redis.call('HEXISTS', key, 'anew') == 1 then
  if verb == 'done' or verb == 'dead' then
    verb, delay, phase, missing = 'again', 0, '', '0'
    redis.call('HDEL', key, 'first_ms')
  end
  streak = '1'
end
local applied = ours or (job[1] == 'pending' and verb == 'done' and not scope)

local function finish(state)
  local field = order_field(job[4], job[6] or '', job[7] or '', job[5] or '')
  if redis.call('HGET', p .. 'pending:' .. lane, field) == id then
    redis.call('HDEL', p .. 'pending:' .. lane, field)
  end
  drop_job(p, lane, id)
  if state == 'done' and job[4] == 'cancel' then untrack_order(p, lane, job[5]) end
  redis.call('HSET', key, 'state', state, 'outcome', outcome, 'detail', detail, 'finished_ms', now)
  redis.call('LPUSH', p .. 'recent', id)
  redis.call('LTRIM', p .. 'recent', 0, recent - 1)
end

if job[1] and line ~= '' then
  redis.call('HSET', key, 'history', (job[8] or '') .. line .. '\n')
end
if applied then
  redis.call('HDEL', key, 'claimed_by', 'claimed_ms')
  if verb ~= 'wait' then redis.call('HDEL', key, 'lost') end
  if verb == 'done' then
    finish('done')
    redis.call('PEXPIRE', key, retention)
  elseif verb == 'dead' then
    finish('dead')
    redis.call('ZADD', p .. 'dead', now, id)
  elseif verb == 'again' then
    redis.call('HSET', key, 'phase', phase, 'streak', streak, 'missing', missing,
      'outcome', outcome, 'detail', detail, 'due_ms', now + delay)
    if missing == '1' then redis.call('HSETNX', key, 'missing_ms', now) end
    if missing == 'found' then redis.call('HDEL', key, 'missing_ms') end
    place_job(p, lane, id, now + delay, job[11])
  elseif verb == 'wait' then
    local made = tonumber(job[9]) - 1
    redis.call('HSET', key, 'attempts', made)
    if made == 0 then redis.call('HDEL', key, 'first_ms') end
    place_job(p, lane, id, job[10], job[11])
  end
end
if lane then
  if pause > 0 then
    local rests = p .. 'lane:' .. lane
    local longest = math.max(now + pause, tonumber(redis.call('HGET', rests, 'not_before') or 0))
    redis.call('HSET', rests, 'not_before', longest)
  end
  release(p, lane, holder, now)
  reindex(p, lane, now)
end
local jobs, unregistered, tended = {}, '', ''
if limit > 0 then
  jobs, unregistered, tended = claim_any(p, digest, exchange, holder, lease, limit, now)
end
local answer = { applied and 1 or 0, now, unregistered, tended }
for _, next_job in ipairs(jobs) do answer[#answer + 1] = next_job end
return answer
