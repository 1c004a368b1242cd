-- How a job is recorded, and how a pending one is made urgent.
-- Keys: see lib/jobs, lib/lanes
--- @include lib/jobs
--- @include lib/lanes

-- hasten(p, lane, id, tripped, now): a pending job has become urgent. A worker that has it in
-- hand keeps it for no longer than the first lease of an urgent one.
local function hasten(p, lane, id, tripped, now)
  local key = p .. 'job:' .. id
  local job = redis.call('HMGET', key, 'urgent', 'claimed_by', 'due_ms')
  if tripped or not job[1] then redis.call('HSET', key, 'tripped', tripped and 1 or 0) end
  if job[1] then return end
  redis.call('HSET', key, 'urgent', 1, 'due_ms', math.min(tonumber(job[3] or now), now))
  redis.call('HDEL', key, 'doubtful') -- its index is left behind, which due_doubtful expects
  local at = tonumber(redis.call('ZSCORE', p .. 'due:' .. lane, id) or now)
  at = math.min(at, job[2] and now + URGENT_LEASE_MS or now)
  place_job(p, lane, id, at, true)
  redis.call('ZADD', p .. 'lanes', 'LT', math.max(at, (lane_ready(p, lane, now))), lane)
end

-- restore_job(p, lane, id, now): a pending job that has lost its place is due now. A doubtful one
-- is not entered as such, which who accepts jobs may not do; its next claim does that.
local function restore_job(p, lane, id, now)
  local job = redis.call('HMGET', p .. 'job:' .. id, 'urgent', 'doubtful')
  place_job(p, lane, id, now, job[1] and not job[2])
  redis.call('ZADD', p .. 'lanes', 'LT', (lane_ready(p, lane, now)), lane)
end

-- How long it is known what a job or a switch has made.
local MADE_MS = 86400000

-- note_made(p, parent, id, now): a job was made by, or for, a cancel-all or a tripped switch.
--   P job:<parent>:made  zset  job id -> ms
local function note_made(p, parent, id, now)
  local key = p .. 'job:' .. parent .. ':made'
  redis.call('ZADD', key, 'NX', now, id)
  redis.call('PEXPIRE', key, MADE_MS)
end

-- accept_job(p, new, now) -> the job's id, whether it is new. The caller sets the lane's place.
-- new: id, lane, kind, order_id, client_order_id, client_id_prefix, stop, stops, pair, side, parent
-- (texts, '' for none); urgent, single, tripped (booleans): tripped if a switch that has
-- tripped asks for it; hold (ms, or nil): a scope is kept empty for so long from now, at least
-- The record's form is 2 only with a field that workers of form 1 do not know: they leave it alone.
local function accept_job(p, new, now)
  local id, lane = new.id, new.lane
  local field = job_field(new)
  local pending = p .. 'pending:' .. lane
  local known = redis.call('HGET', pending, field)
  if known and redis.call('HGET', p .. 'job:' .. known, 'state') ~= 'pending' then known = false end
  if known then
    -- "This scope is empty" may have been answered before what is now to be canceled was
    -- placed: a list under way, or before, proves nothing for who asks now.
    -- Who asks now may want its stop orders, too.
    if new.kind == 'cancel_all' and new.stops == '' then redis.call('HDEL', p .. 'job:' .. known, 'stops') end
    if new.kind == 'cancel_all' then redis.call('HSET', p .. 'job:' .. known, 'anew', 1, 'streak', 1, 'missing', 0) end
    if not redis.call('ZSCORE', p .. 'due:' .. lane, known) then restore_job(p, lane, known, now) end
    if new.urgent then hasten(p, lane, known, new.tripped, now) end
    if (new.hold or 0) > 0 then
      local held = tonumber(redis.call('HGET', p .. 'job:' .. known, 'hold_until') or 0)
      redis.call('HSET', p .. 'job:' .. known, 'hold_until', math.max(held, now + new.hold), 'v', 2)
    end
    return known, false
  end
  -- What comes twice under one id is one job; another order under it is its own.
  for look = 1, 2 do
    if look == 2 then id = id .. '.' .. redis.sha1hex(lane .. '|' .. field) end
    local row = redis.call('HMGET', p .. 'job:' .. id, 'id', 'lane', 'kind', 'pair', 'side', 'order_id',
      'client_order_id', 'client_id_prefix', 'stop')
    if not row[1] then break end
    local named = job_field({ kind = row[3], pair = row[4] or nil, side = row[5] or nil,
      order_id = row[6] or nil, client_order_id = row[7] or nil, client_id_prefix = row[8] or nil,
      stop = row[9] or nil })
    if row[2] == lane and named == field then return id, false end
  end
  local plain = new.client_order_id .. new.client_id_prefix .. new.stop .. new.stops == ''
  local form = (plain and (new.hold or 0) == 0) and 1 or 2
  local job = { 'HSET', p .. 'job:' .. id, 'v', form, 'id', id, 'lane', lane, 'kind', new.kind,
    'state', 'pending', 'created_ms', now, 'due_ms', now }
  local more = { order_id = new.order_id, client_order_id = new.client_order_id,
    client_id_prefix = new.client_id_prefix, stop = new.stop, stops = new.stops, pair = new.pair, side = new.side, parent = new.parent,
    urgent = new.urgent and '1' or '', single = new.single and '1' or '',
    tripped = new.urgent and (new.tripped and '1' or '0') or '',
    hold_until = (new.hold or 0) > 0 and string.format('%.0f', now + new.hold) or '' }
  for name, value in pairs(more) do
    if value ~= '' then
      job[#job + 1] = name
      job[#job + 1] = value
    end
  end
  redis.call(unpack(job))
  redis.call('HSET', pending, field, id)
  place_job(p, lane, id, now, new.urgent)
  return id, true
end
