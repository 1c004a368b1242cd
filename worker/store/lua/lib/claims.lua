-- How jobs are leased, and lanes served in turns.
-- Keys: see lib/lanes, lib/jobs, lib/turns
--- @constants JOB_FORMAT SERIAL_MAX_MS TEND_MS
--- @include lib/access
--- @include lib/history
--- @include lib/holds
--- @include lib/jobs
--- @include lib/lanes
--- @include lib/nonces
--- @include lib/reach
--- @lazy lib/tending tend
--- @include lib/turns

-- How many due places one claim looks at, so that it does not block Redis.
local PASS_OVER_MAX = 2000
local LANES_PAGE = 32

-- serves(p, claim, lane) -> whether the claimant has registered the lane. A claim, here and below:
--   digest     of the lanes that the claimant serves
--   exchange   whose lanes are served in turn
--   holder     whose the leases are, for `lease` ms each
--   limit      how many jobs at most
--   back       after how many ms a job the claimant asks for more; 0 if that is not known
--   now        ms
local function serves(p, claim, lane)
  return redis.call('SISMEMBER', p .. 'registered:' .. claim.digest, lane) == 1
end

-- sibling_waits(p, lane, now) -> whether the lane that shares the hold is due.
-- Switches go first, then one job: there are few switches, and they cannot wait
-- behind a backlog; but where each of theirs hangs, cancels must have their turn.
local function sibling_waits(p, lane, now)
  local sibling = redis.call('HGET', p .. 'lane:' .. lane, 'sibling')
  local score = sibling and redis.call('ZSCORE', p .. 'lanes', sibling)
  return score and tonumber(score) <= now
end

-- take(p, lane, id, claim, lease, batch) -> the job's fields and its lease, or nil. It is the
-- holder's, or no longer due, once batch.places (ms, id, ms, id, ...) are in P due:<lane> and
-- batch.writes have been called, in this order: a record that cannot be read then leaves
-- none of the others half taken. Of fields given twice the later ones count.
local function take(p, lane, id, claim, lease, batch)
  local now, places, writes = claim.now, batch.places, batch.writes
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
  local known = (tonumber(job.v) or math.huge) <= JOB_FORMAT and KINDS[job.kind]
    and job.state == 'pending'
  local attempts = known and tonumber(job.attempts) or 0
  if not known then lease = 1000
  elseif job.urgent then lease = math.min(lease, URGENT_LEASE_MS * (attempts + 1)) end
  places[#places + 1] = now + lease
  places[#places + 1] = id
  if job.doubtful then writes[#writes + 1] = { 'ZADD', p .. 'doubtful:' .. lane, now + lease, id }
  elseif job.urgent then writes[#writes + 1] = { 'ZADD', p .. 'urgent:' .. lane, now + lease, id } end
  if not known then return nil end
  local at = string.format('%.0f', now)
  local set = { 'HSET', key, 'claimed_by', claim.holder, 'claimed_ms', at,
    'lease_ms', string.format('%.0f', lease), 'attempts', string.format('%.0f', attempts + 1),
    'claim', string.format('%.0f', (tonumber(job.claim) or 0) + 1), 'first_ms', job.first_ms or at }
  if job.claimed_by then
    local line = cjson.encode({
      n = attempts, at_ms = tonumber(job.claimed_ms), by = job.claimed_by,
      outcome = 'UNKNOWN', detail = 'the worker was lost in mid-attempt',
    })
    for _, part in ipairs({ 'history', noted(job.history, line), 'lost', '1' }) do
      set[#set + 1] = part
    end
    writes[#writes + 1] = { 'ZADD', p .. 'vain:' .. lane, job.first_ms or now, id }
    local reach = reach_of(job.kind, job.phase, job.claimed_ms, job.lease_ms)
    if reach then note_reach(p, lane, scope_item(job.pair, job.client_id_prefix), reach) end
  end
  writes[#writes + 1] = set
  if job.kind == 'cancel_all' then writes[#writes + 1] = { 'HDEL', key, 'anew' } end
  for i = 3, #set do row[#row + 1] = set[i] end
  if job.kind == 'cancel_all' and job.pair
    and redis.call('SISMEMBER', p .. 'pairs:' .. lane, job.pair) == 0 then
    row[#row + 1], row[#row + 2] = 'unseen', '1'
  end
  return row, lease
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

-- be_back(p, lane, holder, till, row): the holder asks for more by then. Of several the last
-- one counts. Not in a lane of one request at a time, where another worker may be next. row: as
-- from read_lane.
local function be_back(p, lane, holder, till, row)
  if row[1] ~= '1' and till > tonumber(row[BACK] or 0) then
    redis.call('HSET', p .. 'lane:' .. lane, 'back', math.ceil(till), 'backer', holder)
  end
end

-- not_back(p, lane, holder): it has found nothing, and does not ask again.
local function not_back(p, lane, holder)
  if redis.call('HGET', p .. 'lane:' .. lane, 'backer') == holder then
    redis.call('HDEL', p .. 'lane:' .. lane, 'back', 'backer')
  end
end

-- offer_nonce(p, lane, claim, job): the first request of a job may have this nonce: while its
-- claimant has the hold of the account, no later one is used.
local function offer_nonce(p, lane, claim, job)
  local name = redis.call('HGET', p .. 'lane:' .. lane, 'nonce:' .. claim.digest)
  if not name then return end
  job[#job + 1], job[#job + 2] = 'nonce', name .. ' ' .. next_nonce(p, name, '0', 0)
end

-- claim_in(p, claim, lane, id) -> list of jobs' fields and whether there are more; nil when the
-- claimant has not registered the lane. With id '' what `next_due` gives, else that job if it is
-- due and no other class has its turn.
local function claim_in(p, claim, lane, id)
  if not serves(p, claim, lane) then return nil end
  local now, lease, limit, jobs = claim.now, claim.lease, claim.limit, {}
  local row, runs = read_lane(p, lane)
  local ready, serial, bulk = ready_of(p, row, now)
  if ready > now then
    keep_name(p, lane, id, now)
    reindex(p, lane, now)
    return jobs
  end
  if id == '' then limit = math.max(limit, bulk) end
  local refusal = refusal_of(p, lane)
  if refusal.what then limit = 1 end
  if serial then
    local turn = redis.call('HEXISTS', p .. 'lane:' .. lane, 'turn') == 1
    if not turn and sibling_waits(p, lane, now) then
      keep_name(p, lane, id, now)
      return jobs
    end
    local sibling = redis.call('HGET', p .. 'lane:' .. lane, 'sibling')
    if sibling then
      -- A worker's death must not cost the switches more; see lib/budget.
      local longest = redis.call('HGET', p .. 'lane:' .. sibling, 'serial_ms')
      lease = math.min(lease, tonumber(longest or SERIAL_MAX_MS))
    end
    limit = 1
  end
  local key, seen, held, ids = p .. 'due:' .. lane, 0, 0, nil
  local due, one
  if id ~= '' then
    if not is_due(p, lane, id, now) then return jobs end
    due, one = redis.call('ZCOUNT', key, '-inf', now), { id }
    if not may_pass(p, lane, now, runs, due) then
      redis.call('RPUSH', p .. 'named:' .. lane, id)
      id, limit, due = '', 1, nil
    end
  end
  repeat
    if id == '' then
      ids = next_due(p, lane, limit - #jobs, now, runs)
    else
      ids, one = one or {}, nil
    end
    local batch = { places = {}, writes = {} }
    for _, each in ipairs(ids) do
      local job, leased = take(p, lane, each, claim, lease, batch)
      if job then
        if refusal.what then
          for _, part in ipairs({ 'refused', refusal.what, 'refused_ms', string.format('%.0f', refusal.since) }) do
            job[#job + 1] = part
          end
        end
        jobs[#jobs + 1] = job
        held = leased
      end
    end
    if batch.places[1] then redis.call('ZADD', key, unpack(batch.places)) end
    for _, write in ipairs(batch.writes) do redis.call(unpack(write)) end
    seen = seen + #ids
  until #ids == 0 or #jobs == limit or seen > PASS_OVER_MAX
  if serial and #jobs > 0 then
    take_hold(p, lane, claim.holder, held, now)
    redis.call('HDEL', p .. 'lane:' .. lane, 'turn')
    offer_nonce(p, lane, claim, jobs[1])
  end
  if refusal.what and #jobs > 0 then hold_probe(p, lane, now + held) end
  if claim.back > 0 and #jobs > 0 and not refusal.what then
    be_back(p, lane, claim.holder, now + #jobs * claim.back, row)
  end
  local plain = not serial and not refusal.what -- so that nothing of its hash has changed here
  if seen > 0 then reindex(p, lane, now, plain and ready or nil) end
  if not plain or #jobs == 0 then return jobs, false end
  return jobs, (due and due - 1 or redis.call('ZCOUNT', key, '-inf', now)) > 0
end

-- claim_switches(p, claim, lane) -> whether the holder has the lane and must bring the exchange in
-- line, nil when it has not registered the lane; whether more is to be done at once.
local function claim_switches(p, claim, lane)
  if not serves(p, claim, lane) then return nil end
  -- Until it has connected to the exchange; then see survey.lua and launch.lua.
  return tend(p, lane, claim.holder, TEND_MS, claim.now)
end

-- due_lanes(p, now): go through the due lanes, longest unserved first, page by page:
-- there may be thousands, and the first is mostly the one.
local function due_lanes(p, now)
  local page, seen, at = {}, 0, 0
  return function()
    at = at + 1
    if at > #page then
      page, at = redis.call('ZRANGEBYSCORE', p .. 'lanes', '-inf', now, 'LIMIT', seen, LANES_PAGE), 1
      seen = seen + #page
    end
    return page[at] and at, page[at]
  end
end

-- claim_any(p, claim) -> jobs, unregistered, tended, more
-- From the due lane of the exchange that was served longest ago. `unregistered`
-- is a due lane that the claimant has not registered, or ''; `tended` a lane of
-- switches that it now holds, or ''.
local function claim_any(p, claim)
  local unregistered, begin = '', claim.exchange .. ':'
  for _, lane in due_lanes(p, claim.now) do
    if string.sub(lane, 1, #begin) == begin then
      local jobs, more
      if is_switch_lane(lane) then
        local held = claim_switches(p, claim, lane)
        if held then return {}, '', lane end
        jobs = held == false and {} or nil
      else
        jobs, more = claim_in(p, claim, lane, '')
      end
      if not jobs then
        unregistered = lane
      elseif #jobs > 0 then
        return jobs, '', '', more
      end
    end
  end
  return {}, unregistered, ''
end
