-- settle(p, holder, retention_ms, recent, digest, exchange, lease_ms, limit,
--        (id, claim, by, verb, line, outcome, detail, delay_ms, phase, streak, missing,
--        pause_ms, doubtful, unanswered, evidence) * n)
--   -> now, unregistered, tended, more, applied ('1' or '0' * n), job * n
-- Record what attempts came to, give up their leases and holds, and claim the next
-- due jobs of the exchange (limit 0: none), as `claim` does, in the same step.
--   verb  done   the outcome is proven: the job ends
--         again  due after delay_ms, in the given phase
--         wait   not attempted: due as before, the attempt is not counted, and
--                the lane rests for pause_ms
--         dead   to the dead letters
-- A claimant whose lease was taken over may still bring a proof, which is
-- true whoever brings it; whatever else it brings is dropped (applied 0). Its claim is
-- known by number and by name: a failover may forget a claim and give its number again.
-- doubtful is 1 if a job that is due again is no longer served as urgent or single, for its
-- attempts prove nothing: see lib/turns.
-- unanswered is 1 if a cancel of a whole scope was sent and no reply came: it may yet be
-- carried out.
-- evidence is what the attempt shows of the account: see lib/access.
-- line is one history entry as JSON, or ''. missing is 1 if the exchange says that
-- it knows no such open order, found if it shows it open, 0 if it says neither.
-- Keys: see lib/lanes; P dead zset id -> ms; P recent list of ended ids
--- @constants EXECUTED_MS
--- @include lib/access
--- @include lib/claims
--- @include lib/history
--- @include lib/holds
--- @include lib/jobs
--- @include lib/lanes
--- @include lib/reach
--- @include lib/turns
local p, holder, retention, recent, digest, exchange, lease, limit = unpack(ARGV, 1, 8)
local now = now_ms()
local ended, lanes, closed, rows, runs, parents = {}, {}, {}, {}, {}, {}

-- Of a job that is done, what nobody asks for any more: it is kept for long, and there are many.
local DROPPED = { due_ms = 1, lease_ms = 1, single = 1, claimed_by = 1, claimed_ms = 1, lost = 1,
  state = 1, outcome = 1, detail = 1, history = 1 }

-- made_by(history, attempts, outcome, detail) -> when, how long and in which phase its only attempt
-- was made; by whom. nil if its history says more than that.
local function made_by(history, attempts, outcome, detail)
  if attempts ~= '1' or history == '' or string.find(history, '\n', 1, true) ~= #history then return nil end
  local read, line = pcall(cjson.decode, history)
  if not read or type(line) ~= 'table' or line.n ~= 1 or line.outcome ~= outcome or line.detail ~= detail
    or type(line.at_ms) ~= 'number' or type(line.took_ms) ~= 'number' or type(line.phase) ~= 'string'
    or type(line.by) ~= 'string' then
    return nil
  end
  local count = 0
  for _ in pairs(line) do count = count + 1 end
  if count ~= 7 then return nil end
  return string.format('%.0f %.0f %s', line.at_ms, line.took_ms, line.phase), line.by
end

-- shorten(key, row, attempts, outcome, detail, history): write the record of a job that is done
-- anew, with short values alone if it can be: Redis keeps such a hash in a quarter of the memory.
local function shorten(key, row, attempts, outcome, detail, history)
  local record = { 'HSET', key, 'state', 'done', 'outcome', outcome, 'detail', detail,
    'finished_ms', string.format('%.0f', now) }
  local n = #record
  for i = 1, #row, 2 do
    if not DROPPED[row[i]] then
      record[n + 1], record[n + 2] = row[i], row[i + 1]
      n = n + 2
    end
  end
  local made, by = made_by(history, attempts, outcome, detail)
  if made then
    record[n + 1], record[n + 2], record[n + 3], record[n + 4] = 'made', made, 'by', by
  elseif history ~= '' then
    record[n + 1], record[n + 2] = 'history', history
  end
  redis.call('DEL', key)
  redis.call(unpack(record))
end

local function finish(id, job, row, state, outcome, detail, history)
  local lane = job.lane
  local of_lane = closed[lane]
    or { ids = {}, fields = {}, vain = {}, urgent = {}, doubtful = {}, orders = {} }
  closed[lane] = of_lane
  of_lane.ids[#of_lane.ids + 1] = id
  of_lane.fields[#of_lane.fields + 1] = order_field(job.kind, job.pair or '', job.side or '',
    job.order_id or '')
  -- After one claim, and no settlement, nothing has been in vain.
  if job.claim ~= '1' or job.outcome or job.history then of_lane.vain[#of_lane.vain + 1] = id end
  if job.urgent then of_lane.urgent[#of_lane.urgent + 1] = id end
  if job.doubtful then of_lane.doubtful[#of_lane.doubtful + 1] = id end
  if state == 'done' and job.kind == 'cancel' then
    of_lane.orders[#of_lane.orders + 1] = job.order_id
  end
  if state == 'done' then
    shorten(p .. 'job:' .. id, row, job.attempts, outcome, detail, history)
  else
    redis.call('HSET', p .. 'job:' .. id, 'state', state, 'outcome', outcome, 'detail', detail,
      'finished_ms', now, 'history', history)
  end
  ended[#ended + 1] = id
  if job.parent then
    local ends = parents[job.parent] or { canceled = 0, closed = 0, unproven = 0 }
    parents[job.parent] = ends
    local how = state == 'dead' and 'unproven' or outcome == 'CANCELED' and 'canceled' or 'closed'
    ends[how] = ends[how] + 1
  end
end

-- count_ends(): a scope's record says how the cancels that it was given have ended.
local function count_ends()
  for parent, ends in pairs(parents) do
    if redis.call('HGET', p .. 'job:' .. parent, 'kind') == 'cancel_all' then
      for how, count in pairs(ends) do
        if count > 0 then redis.call('HINCRBY', p .. 'job:' .. parent, how, count) end
      end
    end
  end
end

-- row_of(lane) -> what read_lane gives, read once
local function row_of(lane)
  if not rows[lane] then rows[lane], runs[lane] = read_lane(p, lane) end
  return rows[lane]
end

-- note_turn(lane, job): an attempt of this job was made, so that its class has had a turn.
local function note_turn(lane, job)
  row_of(lane)
  local of_lane = runs[lane]
  local urgent, single, clear = of_lane.urgent, of_lane.single, of_lane.clear
  count_turn(of_lane, class_of(job.doubtful, job.urgent, job.single))
  of_lane.changed = of_lane.changed or urgent ~= of_lane.urgent or single ~= of_lane.single
    or clear ~= of_lane.clear
end

-- tidy(lane): an older version's workers end jobs and leave them said to be in vain.
local function tidy(lane)
  local vain = p .. 'vain:' .. lane
  for _, id in ipairs(redis.call('ZRANGE', vain, 0, 4)) do
    if not redis.call('ZSCORE', p .. 'due:' .. lane, id) then redis.call('ZREM', vain, id) end
  end
end

local function settle(id, claim, by, verb, line, outcome, detail, delay, phase, streak, missing, pause,
    doubtful, unanswered, evidence)
  local key = p .. 'job:' .. id
  local row = redis.call('HGETALL', key)
  -- Named here so that the table is made in its size.
  local job = { v = nil, id = nil, lane = nil, kind = nil, state = nil, created_ms = nil, due_ms = nil,
    order_id = nil, pair = nil, side = nil, single = nil, urgent = nil, claimed_by = nil,
    claimed_ms = nil, lease_ms = nil, attempts = nil, claim = nil, first_ms = nil }
  for i = 1, #row, 2 do job[row[i]] = row[i + 1] end
  local lane, first = job.lane, job.first_ms
  -- That an order is closed stays true; that a scope is empty need not.
  local scope = job.kind == 'cancel_all'
  if scope and job.anew then
    if verb == 'done' or verb == 'dead' then
      verb, delay, phase = 'again', 0, ''
      redis.call('HDEL', key, 'first_ms')
      first = nil
    end
    streak, missing = '1', '0'
  end
  local ours = job.state == 'pending' and job.claim == claim and job.claimed_by == by
  local applied = ours or (job.state == 'pending' and verb == 'done' and not scope)
  local history = line == '' and (job.history or '') or noted(job.history, line)
  if applied then
    if verb == 'again' or verb == 'dead' then redis.call('HDEL', key, 'claimed_by', 'claimed_ms', 'lost') end
    if verb == 'done' then
      finish(id, job, row, 'done', outcome, detail, history)
      redis.call('PEXPIRE', key, retention)
    elseif verb == 'dead' then
      finish(id, job, row, 'dead', outcome, detail, history)
      redis.call('ZADD', p .. 'dead', now, id)
    elseif verb == 'again' then
      redis.call('HSET', key, 'phase', phase, 'streak', streak, 'missing', missing,
        'outcome', outcome, 'detail', detail, 'due_ms', now + delay, 'history', history)
      redis.call('ZADD', p .. 'vain:' .. lane, first or now, id)
      if missing == '1' then redis.call('HSETNX', key, 'missing_ms', now) end
      if missing == 'found' then redis.call('HDEL', key, 'missing_ms') end
      if doubtful == '1' then
        redis.call('HSET', key, 'doubtful', 1)
        if job.urgent and not job.doubtful then redis.call('ZREM', p .. 'urgent:' .. lane, id) end
      elseif job.doubtful then
        redis.call('HDEL', key, 'doubtful')
        redis.call('ZREM', p .. 'doubtful:' .. lane, id)
      end
      place_job(p, lane, id, now + delay, job.urgent, doubtful == '1')
      tidy(lane)
    elseif verb == 'wait' then
      redis.call('HSET', key, 'history', history)
      unclaim(p, lane, id, job)
    end
  end
  if unanswered == '1' and scope and job.pair then note_reach(p, lane, job.pair, now + EXECUTED_MS) end
  if job.state and not applied then redis.call('HSET', key, 'history', history) end
  if ours and verb ~= 'wait' then note_turn(lane, job) end
  if ours then
    note_evidence(p, lane, id, verb, evidence, tonumber(job.claimed_ms or 0), now + tonumber(delay), now)
  end
  if lane then lanes[lane] = math.max(lanes[lane] or 0, tonumber(pause)) end
  return applied
end

-- untrack(lane, orders): what is proven not to be open is no switch's any more.
local function untrack(lane, orders)
  local stands, fields = row_of(lane)[CANON], {}
  local scope = stands and p .. 'scope:' .. stands or by_account(p, 'scope', lane)
  for i, order in ipairs(orders) do fields[i] = 'o|' .. order end
  for i, owner in ipairs(redis.call('HMGET', scope, unpack(fields))) do
    if owner then
      redis.call('HDEL', scope, fields[i])
      redis.call('SREM', p .. 'switch:' .. owner .. ':orders', orders[i])
    end
  end
end

-- clear(lane, of_lane): take what has ended out of its lane, all at once: for each by itself
-- it would be most of what a settlement costs.
local function clear(lane, of_lane)
  local pending, left = p .. 'pending:' .. lane, {}
  local names = redis.call('HMGET', pending, unpack(of_lane.fields))
  for i, id in ipairs(of_lane.ids) do
    if names[i] == id then left[#left + 1] = of_lane.fields[i] end
  end
  if left[1] then redis.call('HDEL', pending, unpack(left)) end
  redis.call('ZREM', p .. 'due:' .. lane, unpack(of_lane.ids))
  if of_lane.vain[1] then redis.call('ZREM', p .. 'vain:' .. lane, unpack(of_lane.vain)) end
  if of_lane.urgent[1] then redis.call('ZREM', p .. 'urgent:' .. lane, unpack(of_lane.urgent)) end
  if of_lane.doubtful[1] then
    redis.call('ZREM', p .. 'doubtful:' .. lane, unpack(of_lane.doubtful))
  end
  if of_lane.orders[1] then untrack(lane, of_lane.orders) end
end

local applied = ''
for i = 9, #ARGV, 15 do
  applied = applied .. (settle(unpack(ARGV, i, i + 14)) and '1' or '0')
end
for lane, of_lane in pairs(runs) do
  if of_lane.changed then write_runs(p, lane, of_lane) end
end
if #ended > 0 then
  redis.call('LPUSH', p .. 'recent', unpack(ended))
  redis.call('LTRIM', p .. 'recent', 0, recent - 1)
end
count_ends()
for lane, of_lane in pairs(closed) do clear(lane, of_lane) end
for lane, pause in pairs(lanes) do
  if pause > 0 then
    local rests = p .. 'lane:' .. lane
    local longest = math.max(now + pause, tonumber(redis.call('HGET', rests, 'not_before') or 0))
    redis.call('HSET', rests, 'not_before', longest)
  end
  local row = row_of(lane)
  if row[HOLD] or row[HOLDER] == holder then release(p, lane, holder, now) end
  reindex(p, lane, now)
end
local jobs, unregistered, tended, more = {}, '', '', false
if tonumber(limit) > 0 then
  jobs, unregistered, tended, more = claim_any(p, { digest = digest, exchange = exchange,
    holder = holder, lease = tonumber(lease), limit = tonumber(limit), now = now })
end
local answer = { now, unregistered, tended, more and 1 or 0, applied }
for _, job in ipairs(jobs) do answer[#answer + 1] = job end
return answer
