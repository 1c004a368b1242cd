-- settle(p, holder, retention_ms, recent, digest, exchange, lease_ms, limit, back_ms, stay_ms,
--     names, (lane, id) * names, settlement * n)
--   -> now, unregistered, tended, more, applied ('1' or '0' * n), due ('1' or '0' * names), job * n
-- Record the results of attempts, give up their leases and holds, and claim the next
-- due jobs of the exchange (limit 0: none), as `claim` does, in the same step. Those named go
-- next, if they are due. With stay_ms the holder asks again within so long, whether
-- or not jobs are due.
-- Each settlement is a table as JSON, from settlement_rows.py; what is false or 0 may be left out:
--   id, claim, by  the job, the number of its claim, and who made that
--   verb           done   the outcome is proven: the job ends
--                  again  due after delay_ms, in the given phase
--                  wait   not attempted: due as before, the attempt is not counted, and
--                         the lane rests for pause_ms
--                  dead   to the dead letters
--   outcome, detail   of the attempt, and why; not with wait
--   n, at_ms, took_ms, sent, answer   the attempt's entry in the history: its number, when it
--                  began, how long it took (absent without an answer), in which phase; what was
--                  answered, where that is not the detail
--   delay_ms, phase, streak   with again; as in the record: see lib/jobs
--   missing        the exchange says that it knows no such open order, or a scope is empty
--   found          it shows the order open
--   doubtful       the job is no longer served as urgent or single, for its attempts prove
--                  nothing: see lib/turns
--   stop_kind      the exchange's word for the order's kind of stop order, for its next cancel
--   held           the scope is empty, and is kept so: nothing is in vain
--   swept, canceled  a cancel of a whole scope was accepted; it says of no order, or how many
--                  orders it canceled. That is not known either if the claim was lost.
--   pause_ms       how long the lane rests
--   unanswered     a cancel of a whole scope was sent and no reply came: it may yet be carried out
--   evidence       what the attempt shows of the account: see lib/access
-- A claimant whose lease was taken over may still bring a proof, which is
-- true from any worker; whatever else it brings is dropped (applied 0). Its claim is
-- known by number and by name: a failover may forget a claim and give its number again.
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
local p, holder, retention, recent, digest, exchange, lease, limit, back, stay = unpack(ARGV, 1, 10)
local now = now_ms()
local ended, lanes, closed, rows, runs, parents = {}, {}, {}, {}, {}, {}

-- Of a job that is done, what no client asks for any more: it is kept for long, and there are many.
local DROPPED = { due_ms = 1, lease_ms = 1, single = 1, claimed_by = 1, claimed_ms = 1, lost = 1,
  state = 1, outcome = 1, detail = 1, history = 1 }

-- entry_of(s) -> the attempt's entry in its job's history, as JSON
local function entry_of(s)
  return cjson.encode({ n = s.n, at_ms = s.at_ms, phase = s.sent, outcome = s.outcome,
    detail = s.answer or s.detail, took_ms = s.took_ms, by = s.by })
end

-- shorten(key, row, job, s): write the record of a job that is done again, with short values
-- alone if its only attempt fits in them: Redis keeps such a hash in a quarter of the memory.
local function shorten(key, row, job, s)
  local record = { 'HSET', key, 'state', 'done', 'outcome', s.outcome, 'detail', s.detail,
    'finished_ms', string.format('%.0f', now) }
  local n = #record
  for i = 1, #row, 2 do
    if not DROPPED[row[i]] then
      record[n + 1], record[n + 2] = row[i], row[i + 1]
      n = n + 2
    end
  end
  if job.attempts == '1' and s.n == 1 and (job.history or '') == '' and s.took_ms and not s.answer then
    record[n + 1], record[n + 2] = 'made', string.format('%.0f %.0f %s', s.at_ms, s.took_ms, s.sent)
    record[n + 3], record[n + 4] = 'by', s.by
  else
    record[n + 1], record[n + 2] = 'history', noted(job.history, entry_of(s))
  end
  redis.call('DEL', key)
  redis.call(unpack(record))
end

-- finish(job, row, state, s): the job ends; its places are taken by `clear`, all at once.
local function finish(job, row, state, s)
  local id, lane = s.id, job.lane
  local of_lane = closed[lane]
    or { ids = {}, fields = {}, vain = {}, urgent = {}, doubtful = {}, orders = {} }
  closed[lane] = of_lane
  of_lane.ids[#of_lane.ids + 1] = id
  of_lane.fields[#of_lane.fields + 1] = job_field(job)
  -- After one claim, and no settlement, none was unproven.
  if job.claim ~= '1' or job.outcome or job.history then of_lane.vain[#of_lane.vain + 1] = id end
  if job.urgent then of_lane.urgent[#of_lane.urgent + 1] = id end
  if job.doubtful then of_lane.doubtful[#of_lane.doubtful + 1] = id end
  if state == 'done' and job.kind == 'cancel' then
    of_lane.orders[#of_lane.orders + 1] = order_name(job)
  end
  if state == 'done' then
    shorten(p .. 'job:' .. id, row, job, s)
  else
    redis.call('HSET', p .. 'job:' .. id, 'state', state, 'outcome', s.outcome, 'detail', s.detail,
      'finished_ms', now, 'history', noted(job.history, entry_of(s)))
  end
  ended[#ended + 1] = id
  if job.parent then
    local ends = parents[job.parent] or { canceled = 0, closed = 0, unproven = 0 }
    parents[job.parent] = ends
    local how = state == 'dead' and 'unproven' or s.outcome == 'CANCELED' and 'canceled' or 'closed'
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

-- count_swept(key, job, canceled): a cancel of the whole scope has canceled so many orders, of
-- which none has a job of its own. Their pair is one that exists.
local function count_swept(key, job, canceled)
  redis.call('HINCRBY', key, 'children', canceled)
  redis.call('HINCRBY', key, 'canceled', canceled)
  if (job.pair or '') ~= '' then redis.call('SADD', p .. 'pairs:' .. job.lane, job.pair) end
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

-- tidy(lane): an older version's workers end jobs and leave them recorded as unproven.
local function tidy(lane)
  local vain = p .. 'vain:' .. lane
  for _, id in ipairs(redis.call('ZRANGE', vain, 0, 4)) do
    if not redis.call('ZSCORE', p .. 'due:' .. lane, id) then redis.call('ZREM', vain, id) end
  end
end

-- settle(s) -> whether it counts
local function settle(s)
  local id, verb = s.id, s.verb
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
      verb, s.delay_ms, s.phase = 'again', 0, ''
      redis.call('HDEL', key, 'first_ms')
      first = nil
    end
    s.streak, s.missing = 1, false
  end
  local ours = job.state == 'pending' and tonumber(job.claim) == s.claim and job.claimed_by == s.by
  local applied = ours or (job.state == 'pending' and verb == 'done' and not scope)
  local due = now + (s.delay_ms or 0)
  if applied then
    if verb == 'again' or verb == 'dead' then redis.call('HDEL', key, 'claimed_by', 'claimed_ms', 'lost') end
    if s.canceled then count_swept(key, job, s.canceled) end
    if verb == 'done' then
      finish(job, row, 'done', s)
      redis.call('PEXPIRE', key, retention)
    elseif verb == 'dead' then
      finish(job, row, 'dead', s)
      redis.call('ZADD', p .. 'dead', now, id)
    elseif verb == 'again' then
      redis.call('HSET', key, 'phase', s.phase, 'streak', s.streak,
        'missing', s.missing and not s.found and 1 or 0, 'outcome', s.outcome, 'detail', s.detail,
        'due_ms', due, 'history', noted(job.history, entry_of(s)))
      if s.held then redis.call('ZREM', p .. 'vain:' .. lane, id)
      else redis.call('ZADD', p .. 'vain:' .. lane, first or now, id) end
      if s.found then redis.call('HDEL', key, 'missing_ms')
      elseif s.missing then redis.call('HSETNX', key, 'missing_ms', now) end
      if s.stop_kind then redis.call('HSET', key, 'stop_kind', s.stop_kind) end
      if s.doubtful then
        redis.call('HSET', key, 'doubtful', 1)
        if job.urgent and not job.doubtful then redis.call('ZREM', p .. 'urgent:' .. lane, id) end
      elseif job.doubtful then
        redis.call('HDEL', key, 'doubtful')
        redis.call('ZREM', p .. 'doubtful:' .. lane, id)
      end
      place_job(p, lane, id, due, job.urgent, s.doubtful)
      tidy(lane)
    elseif verb == 'wait' then
      unclaim(p, lane, id, job)
    end
  elseif job.state and verb ~= 'wait' then
    redis.call('HSET', key, 'history', noted(job.history, entry_of(s)))
  end
  local silent = s.swept or s.unanswered or (s.canceled and not applied)
  if silent and scope and job.state == 'pending' then redis.call('HSET', key, 'swept', 1) end
  if s.unanswered and scope then note_reach(p, lane, job.pair, now + EXECUTED_MS) end
  if ours then
    if verb ~= 'wait' then note_turn(lane, job) end
    note_evidence(p, lane, { id = id, verb = verb, evidence = s.evidence, due = due,
      claimed = tonumber(job.claimed_ms or 0) }, now)
  end
  if lane then lanes[lane] = math.max(lanes[lane] or 0, s.pause_ms or 0) end
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

local settlements, applied, due_names = {}, '', ''
local first = 12 + 2 * tonumber(ARGV[11])
for i = first, #ARGV do settlements[i - first + 1] = cjson.decode(ARGV[i]) end
for _, s in ipairs(settlements) do applied = applied .. (settle(s) and '1' or '0') end
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
  if row[BACKER] == holder then redis.call('HDEL', p .. 'lane:' .. lane, 'back', 'backer') end
  reindex(p, lane, now)
end
for i = 12, first - 1, 2 do
  local due = is_due(p, ARGV[i], ARGV[i + 1], now)
  if due then name_job(p, ARGV[i], ARGV[i + 1]) end
  due_names = due_names .. (due and '1' or '0')
end
local jobs, unregistered, tended, more = {}, '', '', false
if tonumber(limit) > 0 then
  jobs, unregistered, tended, more = claim_any(p, { digest = digest, exchange = exchange,
    holder = holder, lease = tonumber(lease), limit = tonumber(limit), back = tonumber(back), now = now })
end
if tonumber(stay) > 0 then
  for lane in pairs(lanes) do be_back(p, lane, holder, now + stay, (read_lane(p, lane))) end
end
local answer = { now, unregistered, tended, more and 1 or 0, applied, due_names }
for _, job in ipairs(jobs) do answer[#answer + 1] = job end
return answer
