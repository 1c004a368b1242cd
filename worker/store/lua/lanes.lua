-- Shared by the scripts that move jobs. A lane is one account's queue:
-- "<exchange>:<account>". P is the key prefix.
--   P lanes        zset  lane -> ms at which somebody must next look at it
--   P due:<lane>   zset  job id -> ms at which it is due (a claim moves it on)
--   P urgent:<lane> zset the same of urgent jobs that are not doubtful; see turns.lua
--   P named:<lane> list  ids of single jobs, which go ahead of those due before them where
--                        no bell says so; the next one is the last
--   P lane:<lane>  hash  width (0: any, 1: one request at a time), bulk (orders that
--                        go in one request, if more than 1), held_until,
--                        holder, not_before (ms); hold: the lane that has the
--                        hold, where several share it; sibling: the lane of switches
--                        that shares it, or the other way round; joined: all lanes of the
--                        account; width:<digest>, what each claimant wants; key:<digest>,
--                        for which account it has the lane;
--                        serial_ms, of switches: longest lease of a job that shares the hold;
--                reach|<pair>: ms until which a request of a former cancel-all, or a
--                timer of a tripped switch, may yet cancel orders of that pair
-- Beside it "<lane>:switch" holds the account's switches; see switches.lua.
--   P astray       zset  "<lane> <id>" of what was due there without a record -> ms from
--                        which a person is to be alerted; inf once that is done
--   P job:<id>     hash  the job; see ledger.py
--   P vain:<lane>  zset  job that has been attempted without a proof -> ms of its first attempt
--   P pending:<lane> hash  dedup field -> job id
--   P pairs:<lane> set   pairs that a list of the account has shown
--   P registered:<digest> set  lanes that the claimant's settings serve

local MAX_VERSION = 1
-- What else there is, is a newer version's, and left to its workers.
local KINDS = { cancel = true, cancel_all = true }
-- Leases of urgent jobs: short at first, so that a worker's death costs little.
local URGENT_LEASE_MS = 1800
-- Defined in switches.lua, and in access.lua.
local tend
local refusal_of, hold_probe
-- How long after its connection was closed a request that has arrived may be carried out.
local EXECUTED_MS = 3000
-- Bytes of a job's history before its middle is left out: what an outage of hours makes of
-- many jobs would fill Redis. And how much of its begin and of its end stays then.
local HISTORY_MAX, HISTORY_HEAD, HISTORY_TAIL = 4096, 1024, 2048
local LEFT_OUT = '{"detail":"attempts in between are left out"}\n'

-- is_switch_lane(lane) -> whether it is one of switches. Neither exchange nor account holds a
-- ':', so no account is called like one; as in names.py.
local function is_switch_lane(lane)
  return string.find(lane, '^[^:]+:[^:]+:switch$') ~= nil
end

-- order_field(kind, pair, side, order_id) -> what the order is called in
-- P pending:<lane>. The id comes last: it alone may hold a '|'.
local function order_field(kind, pair, side, order_id)
  return kind .. '|' .. pair .. '|' .. side .. '|' .. order_id
end

-- note_reach(p, lane, pair, at): until then orders of the pair, placed from now on, may yet be
-- canceled by what was sent before.
local function note_reach(p, lane, pair, at)
  local key, field = p .. 'lane:' .. lane, 'reach|' .. pair
  redis.call('HSET', key, field, math.max(at, tonumber(redis.call('HGET', key, field) or 0)))
end

-- reach_of(kind, pair, phase, claimed_ms, lease_ms) -> ms until which an attempt that was ended early may reach, if it is one of
-- a cancel-all of a pair: to the end of its lease its list may be read, its cancel be sent.
local function reach_of(kind, pair, phase, claimed, leased)
  if kind ~= 'cancel_all' or not pair or not claimed then return nil end
  return tonumber(claimed) + tonumber(leased or 0) + (phase == 'list' and 0 or EXECUTED_MS)
end

-- lane_ready(p, lane, now) -> ms from which the lane may be claimed; serial; bulk
local function lane_ready(p, lane, now)
  local meta = redis.call('HMGET', p .. 'lane:' .. lane, 'width', 'held_until', 'not_before', 'hold',
    'bulk', 'guest_until')
  local ready = tonumber(meta[3] or 0)
  local held, guest = meta[2], meta[6]
  if meta[4] then
    held, guest = unpack(redis.call('HMGET', p .. 'lane:' .. meta[4], 'held_until', 'guest_until'))
  end
  if meta[1] == '1' then ready = math.max(ready, tonumber(held or 0), tonumber(guest or 0)) end
  return math.max(ready, now), meta[1] == '1', tonumber(meta[5] or 1)
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

-- hold_key(p, lane) -> the hash that has the lane's hold
local function hold_key(p, lane)
  return p .. 'lane:' .. (redis.call('HGET', p .. 'lane:' .. lane, 'hold') or lane)
end

-- take_hold(p, lane, holder, lease, now), hold_is(p, lane, holder, now) -> boolean
local function take_hold(p, lane, holder, lease, now)
  redis.call('HSET', hold_key(p, lane), 'holder', holder, 'held_until', now + lease)
end

local function hold_is(p, lane, holder, now)
  local held = redis.call('HMGET', hold_key(p, lane), 'holder', 'held_until')
  return held[1] == holder and tonumber(held[2]) > now
end

-- release(p, lane, holder, now): give up a hold, if it is still ours.
local function release(p, lane, holder, now)
  local key = hold_key(p, lane)
  local held = redis.call('HMGET', key, 'holder', 'joined')
  if held[1] ~= holder then return end
  redis.call('HDEL', key, 'holder', 'held_until')
  local sibling = redis.call('HGET', p .. 'lane:' .. lane, 'sibling')
  local function wake(other, at)
    if is_switch_lane(lane) then redis.call('HSET', p .. 'lane:' .. other, 'turn', 1) end
    reindex(p, other, at)
  end
  if sibling then wake(sibling, now) end
  -- Other aliases of the account go before this one: they have waited.
  for other in string.gmatch(held[2] or '', '%S+') do
    if other ~= lane and other ~= sibling then wake(other, now - 1) end
  end
end

-- place_job(p, lane, id, at, urgent, doubtful), drop_job(p, lane, id, urgent): when somebody
-- must look at it; of which class it is says turns.lua.
local function place_job(p, lane, id, at, urgent, doubtful)
  redis.call('ZADD', p .. 'due:' .. lane, at, id)
  if doubtful then redis.call('ZADD', p .. 'doubtful:' .. lane, at, id)
  elseif urgent then redis.call('ZADD', p .. 'urgent:' .. lane, at, id) end
end

local function drop_job(p, lane, id, urgent)
  redis.call('ZREM', p .. 'due:' .. lane, id)
  redis.call('ZREM', p .. 'vain:' .. lane, id)
  redis.call('ZREM', p .. 'doubtful:' .. lane, id)
  if urgent then redis.call('ZREM', p .. 'urgent:' .. lane, id) end
end

-- set_aside(p, lane, id, now): what is due without a record is moved out of the way, and kept.
local function set_aside(p, lane, id, now)
  for _, index in ipairs({ 'due:', 'urgent:', 'doubtful:', 'vain:', 'ends:', 'asked:' }) do
    redis.call('ZREM', p .. index .. lane, id)
  end
  redis.call('ZADD', p .. 'astray', now, lane .. ' ' .. id)
end

-- Where so many messages wait, workers are awake, or none lives.
local ENOUGH = 32

-- ring(p, queue, bell): wake a worker.
local function ring(p, queue, bell)
  if redis.call('LLEN', p .. queue) < ENOUGH then redis.call('LPUSH', p .. queue, bell) end
end

-- name_job(p, lane, id) -> whether it could be named: who claims in the lane comes to it
-- next. Not by users whose rights are of a version that had no names.
local function name_job(p, lane, id)
  return type(redis.pcall('LPUSH', p .. 'named:' .. lane, id)) == 'number'
end

-- hasten(p, lane, id, now): a pending job has become urgent. A worker that has it in
-- hand keeps it for no longer than the first lease of an urgent one.
local function hasten(p, lane, id, now)
  local key = p .. 'job:' .. id
  local job = redis.call('HMGET', key, 'urgent', 'claimed_by', 'due_ms')
  if job[1] then return end
  redis.call('HSET', key, 'urgent', 1, 'due_ms', math.min(tonumber(job[3] or now), now))
  redis.call('HDEL', key, 'doubtful') -- its index is left behind, which due_doubtful expects
  local at = tonumber(redis.call('ZSCORE', p .. 'due:' .. lane, id) or now)
  at = math.min(at, job[2] and now + URGENT_LEASE_MS or now)
  place_job(p, lane, id, at, true)
  redis.call('ZADD', p .. 'lanes', 'LT', math.max(at, (lane_ready(p, lane, now))), lane)
end

-- sibling_waits(p, lane, now) -> whether the lane that shares the hold is due.
-- Switches go first, then one job: there are few switches, and they cannot wait
-- behind a backlog; but where each of theirs hangs, cancels must have their turn.
local function sibling_waits(p, lane, now)
  local sibling = redis.call('HGET', p .. 'lane:' .. lane, 'sibling')
  local score = sibling and redis.call('ZSCORE', p .. 'lanes', sibling)
  return score and tonumber(score) <= now
end

-- restore_job(p, lane, id, now): a pending job that has lost its place is due now.
local function restore_job(p, lane, id, now)
  local job = redis.call('HMGET', p .. 'job:' .. id, 'urgent', 'doubtful')
  place_job(p, lane, id, now, job[1], job[2])
  redis.call('ZADD', p .. 'lanes', 'LT', (lane_ready(p, lane, now)), lane)
end

-- accept_job(p, now, id, lane, kind, order_id, pair, side, parent, urgent, single)
--   -> the job's id, whether it is new. The lane's place is the caller's to set.
local function accept_job(p, now, id, lane, kind, order_id, pair, side, parent, urgent, single)
  local field = order_field(kind, pair, side, order_id)
  local pending = p .. 'pending:' .. lane
  local known = redis.call('HGET', pending, field)
  if known and redis.call('HGET', p .. 'job:' .. known, 'state') ~= 'pending' then known = false end
  if known then
    -- "This scope is empty" may have been said before what is now to be canceled was
    -- placed: a list under way, or before, proves nothing for who asks now.
    if kind == 'cancel_all' then redis.call('HSET', p .. 'job:' .. known, 'anew', 1, 'streak', 1, 'missing', 0) end
    if not redis.call('ZSCORE', p .. 'due:' .. lane, known) then restore_job(p, lane, known, now) end
    if urgent then hasten(p, lane, known, now) end
    return known, false
  end
  -- What comes twice under one id is one job; another order under it is its own.
  for _, name in ipairs({ id, id .. '.' .. redis.sha1hex(lane .. '|' .. field) }) do
    id = name
    local row = redis.call('HMGET', p .. 'job:' .. id, 'lane', 'kind', 'pair', 'side', 'order_id', 'id')
    if not row[6] then break end
    local named = row[1] == lane and order_field(row[2], row[3] or '', row[4] or '', row[5] or '')
    if named == field then return id, false end
  end
  local job = { 'HSET', p .. 'job:' .. id, 'v', 1, 'id', id, 'lane', lane, 'kind', kind,
    'state', 'pending', 'created_ms', now, 'due_ms', now }
  local more = { order_id = order_id, pair = pair, side = side, parent = parent,
    urgent = urgent and '1' or '', single = single and '1' or '' }
  for name, value in pairs(more) do
    if value ~= '' then
      job[#job + 1] = name
      job[#job + 1] = value
    end
  end
  redis.call(unpack(job))
  redis.call('HSET', pending, field, id)
  place_job(p, lane, id, now, urgent)
  return id, true
end

-- noted(history, line) -> the history with one more line, each ended by a line feed
local function noted(history, line)
  history = (history or '') .. line .. '\n'
  if #history <= HISTORY_MAX then return history end
  local cut = string.find(history, LEFT_OUT, 1, true)
  local head = cut and string.sub(history, 1, cut - 1)
    or string.match(string.sub(history, 1, HISTORY_HEAD), '^.*\n') or ''
  local tail = string.match(string.sub(history, -HISTORY_TAIL), '^[^\n]*\n(.*)$') or ''
  return head .. LEFT_OUT .. tail
end

-- take(p, lane, id, holder, lease, now, places, writes) -> the job's fields and its lease,
-- or nil. It is the holder's, or no longer due, once `places` (ms, id, ms, id, ...) are in
-- P due:<lane> and `writes` have been called, in this order: a record that cannot be read
-- then leaves none of the others half taken. Of fields given twice the later ones count.
local function take(p, lane, id, holder, lease, now, places, writes)
  local key, job = p .. 'job:' .. id, {}
  local row = redis.call('HGETALL', key)
  for i = 1, #row, 2 do job[row[i]] = row[i + 1] end
  if job.state == 'done' or job.state == 'dead' then
    drop_job(p, lane, id, true)
    return nil
  end
  if not job.state then
    set_aside(p, lane, id, now)
    return nil
  end
  local known = (tonumber(job.v) or math.huge) <= MAX_VERSION and KINDS[job.kind]
    and job.state == 'pending'
  local attempts = known and tonumber(job.attempts) or 0
  if not known then lease = 1000
  elseif job.urgent then lease = math.min(lease, URGENT_LEASE_MS * (attempts + 1)) end
  places[#places + 1] = now + lease
  places[#places + 1] = id
  if job.doubtful then writes[#writes + 1] = { 'ZADD', p .. 'doubtful:' .. lane, now + lease, id }
  elseif job.urgent then writes[#writes + 1] = { 'ZADD', p .. 'urgent:' .. lane, now + lease, id } end
  if not known then return nil end
  local set = { 'HSET', key, 'claimed_by', holder, 'claimed_ms', now, 'lease_ms', lease,
    'attempts', attempts + 1, 'claim', (tonumber(job.claim) or 0) + 1, 'first_ms', job.first_ms or now }
  if job.claimed_by then
    local line = cjson.encode({
      n = attempts, at_ms = tonumber(job.claimed_ms), by = job.claimed_by,
      outcome = 'UNKNOWN', detail = 'the worker was lost in mid-attempt',
    })
    for _, part in ipairs({ 'history', noted(job.history, line), 'lost', 1 }) do
      set[#set + 1] = part
    end
    writes[#writes + 1] = { 'ZADD', p .. 'vain:' .. lane, job.first_ms or now, id }
    local reach = reach_of(job.kind, job.pair, job.phase, job.claimed_ms, job.lease_ms)
    if reach then note_reach(p, lane, job.pair, reach) end
  end
  writes[#writes + 1] = set
  if job.kind == 'cancel_all' then writes[#writes + 1] = { 'HDEL', key, 'anew' } end
  for i = 3, #set do
    row[#row + 1] = type(set[i]) == 'number' and string.format('%.0f', set[i]) or set[i]
  end
  if job.kind == 'cancel_all' and job.pair
    and redis.call('SISMEMBER', p .. 'pairs:' .. lane, job.pair) == 0 then
    row[#row + 1], row[#row + 2] = 'unseen', '1'
  end
  return row, lease
end

-- unclaim(p, lane, id, attempts, due, urgent, single, doubtful): nothing was attempted. The job is
-- due as it was before its claim, which counts for nothing; a single one is the next.
local function unclaim(p, lane, id, attempts, due, urgent, single, doubtful)
  local key, made = p .. 'job:' .. id, tonumber(attempts) - 1
  redis.call('HDEL', key, 'claimed_by', 'claimed_ms', made == 0 and 'first_ms' or 'claimed_by')
  redis.call('HSET', key, 'attempts', made)
  place_job(p, lane, id, due, urgent, doubtful)
  if single and not doubtful then redis.call('RPUSH', p .. 'named:' .. lane, id) end
end

-- is_due(p, lane, id, now) -> boolean; false for ''
local function is_due(p, lane, id, now)
  local score = id ~= '' and redis.call('ZSCORE', p .. 'due:' .. lane, id)
  return score and tonumber(score) <= now
end

-- keep_name(p, lane, id, now): a bell rang for one job while its lane may not be claimed.
local function keep_name(p, lane, id, now)
  if is_due(p, lane, id, now) then name_job(p, lane, id) end
end
