-- Shared by the scripts that claim; comes after turns.lua, and before switches.lua. How jobs are
-- leased, and lanes served in turns.
-- Keys: see lanes.lua, turns.lua

-- Leases where switches wait for the hold: a worker's death must not cost them more. Shorter
-- where a switch of a short timeout was armed; see budget.lua.
local SERIAL_LEASE_MS = 3000
-- How long one who brings the exchange in line may take to connect to it; see survey.lua and
-- launch.lua for how long it holds the lane then.
local TEND_MS = 2000
-- How many due places one claim looks at, lest it keep Redis to itself.
local PASS_OVER_MAX = 2000
local LANES_PAGE = 32

-- claim_in(p, digest, lane, id, holder, lease, limit, now) -> list of jobs'
-- fields and whether there are more; nil when the claimant has not registered the lane. With id ''
-- what `next_due` gives, else that job if it is due and no other class has its turn.
local function claim_in(p, digest, lane, id, holder, lease, limit, now)
  if redis.call('SISMEMBER', p .. 'registered:' .. digest, lane) == 0 then return nil end
  local jobs = {}
  local ready, serial, bulk = lane_ready(p, lane, now)
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
      local longest = redis.call('HGET', p .. 'lane:' .. sibling, 'serial_ms')
      lease = math.min(lease, tonumber(longest or SERIAL_LEASE_MS))
    end
    limit = 1
  end
  local key, seen, held, ids = p .. 'due:' .. lane, 0, 0, nil
  local runs = read_runs(p, lane)
  if is_due(p, lane, id, now) and not may_pass(p, lane, now, runs) then
    redis.call('RPUSH', p .. 'named:' .. lane, id)
    id, limit = '', 1
  end
  repeat
    if id == '' then
      ids = next_due(p, lane, limit - #jobs, now, runs)
    else
      ids = is_due(p, lane, id, now) and { id } or {}
    end
    local places, writes = {}, {}
    for _, due in ipairs(ids) do
      local job, leased = take(p, lane, due, holder, lease, now, places, writes)
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
    if places[1] then redis.call('ZADD', key, unpack(places)) end
    for _, write in ipairs(writes) do redis.call(unpack(write)) end
    seen = seen + #ids
  until #ids == 0 or #jobs == limit or seen > PASS_OVER_MAX
  if serial and #jobs > 0 then
    take_hold(p, lane, holder, held, now)
    redis.call('HDEL', p .. 'lane:' .. lane, 'turn')
  end
  if refusal.what and #jobs > 0 then hold_probe(p, lane, now + held) end
  if seen > 0 then reindex(p, lane, now) end
  local more = not serial and not refusal.what and #jobs > 0 and redis.call('ZCOUNT', key, '-inf', now) > 0
  return jobs, more
end

-- claim_switches(p, digest, lane, holder, now) -> whether the holder has the lane
-- and must bring the exchange in line, nil when it has not registered the lane; whether more
-- is to be done at once.
local function claim_switches(p, digest, lane, holder, now)
  if redis.call('SISMEMBER', p .. 'registered:' .. digest, lane) == 0 then return nil end
  if lane_ready(p, lane, now) > now then
    reindex(p, lane, now)
    return false
  end
  return tend(p, lane, holder, TEND_MS, now)
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

-- cannot_wait(p, digest, lane, now) -> whether what is due there must not be claimed by who
-- has other work in hand
local function cannot_wait(p, digest, lane, now)
  if redis.call('SISMEMBER', p .. 'registered:' .. digest, lane) == 0 then return false end
  return is_switch_lane(lane)
    or redis.call('HGET', p .. 'lane:' .. lane, 'width') == '1'
    or redis.call('ZCOUNT', p .. 'urgent:' .. lane, '-inf', now) > 0
end

-- claim_any(p, digest, exchange, holder, lease, limit, now, ahead)
--   -> jobs, unregistered, tended, more
-- From the due lane of the exchange that was served longest ago. `unregistered`
-- is a due lane that the claimant has not registered, or ''; `tended` a lane of
-- switches that it now holds, or ''. If `ahead`, nothing once it is the turn of a lane
-- that cannot wait.
local function claim_any(p, digest, exchange, holder, lease, limit, now, ahead)
  local unregistered = ''
  for _, lane in due_lanes(p, now) do
    if string.sub(lane, 1, #exchange + 1) == exchange .. ':' then
      local jobs, more
      if ahead and cannot_wait(p, digest, lane, now) then return {}, unregistered, '' end
      if is_switch_lane(lane) then
        local held = claim_switches(p, digest, lane, holder, now)
        if held then return {}, '', lane end
        jobs = held == false and {} or nil
      else
        jobs, more = claim_in(p, digest, lane, '', holder, lease, limit, now)
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
