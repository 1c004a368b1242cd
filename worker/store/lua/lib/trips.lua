-- How a switch trips: its cancels become jobs.
-- Keys: see lib/switches, lib/jobs
--- @constants FIRED_MS
--- @include lib/accepting
--- @include lib/disarms
--- @include lib/ends
--- @include lib/firings
--- @include lib/jobs
--- @include lib/lanes
--- @include lib/reach
--- @include lib/retire
--- @include lib/scopes
--- @include lib/switches

-- How many orders and pairs one step accepts cancels of, so that it does not block Redis.
local PART = 250

-- accept_cancels(p, switch, now, orders, items): each is named by what it cancels: after a
-- failover that has forgotten this, another trip names it the same.
local function accept_cancels(p, switch, now, orders, items)
  local stem = switch.id .. '.' .. switch.epoch .. '.'
  local function accept(job)
    job.order_id, job.client_order_id = job.order_id or '', job.client_order_id or ''
    job.client_id_prefix, job.stop, job.stops = job.client_id_prefix or '', '', job.stops or ''
    job.lane, job.side, job.parent, job.urgent, job.tripped = switch.lane, '', switch.id, true, true
    job.id = stem .. string.sub(redis.sha1hex(job_field(job)), 1, 16)
    note_made(p, switch.id, (accept_job(p, job, now)), now)
  end
  for _, order in ipairs(orders) do
    local client = string.match(order, '^client (.*)$')
    accept({ kind = 'cancel', order_id = not client and order or '', client_order_id = client,
      pair = switch.order_pair or '' })
  end
  for _, item in ipairs(items) do
    local pair, prefix = read_item(item)
    accept({ kind = 'cancel_all', pair = pair, client_id_prefix = prefix, stops = switch.stops })
  end
  redis.call('ZADD', p .. 'lanes', 'LT', (lane_ready(p, switch.lane, now)), switch.lane)
end

-- go_on(p, switch, now, room): accept cancels of orders of a tripped switch that have none yet,
-- as many as there is room for; with the last of them it leaves its lane.
local function go_on(p, switch, now, room)
  local key = p .. 'switch:' .. switch.id
  local orders, more = some_of(key .. ':orders', math.max(room.left, 1))
  room.left = room.left - #orders
  accept_cancels(p, switch, now, orders, {})
  if more then
    give_up(p, switch, orders)
    redis.call('HDEL', p .. 'lane:' .. switch_lane(switch.lane), 'not_before')
  else
    disown(by_account(p, 'scope', switch.lane), order_fields(orders), switch.id)
    leave_lane(p, switch, now)
  end
end

-- trip(p, switch, now, room): the deadline has passed. In the same step the cancels
-- of its scope are accepted as jobs, so that nothing can come in between. Where there are more
-- orders than one step may accept (room.left, PART by default), the switch stays in the indexes
-- of its lane until `go_on` has accepted the last of them.
local function trip(p, switch, now, room)
  work_on() -- whatever script met it
  room = room or { left = PART }
  local key, lane, pairs = p .. 'switch:' .. switch.id, switch_lane(switch.lane), split(switch.pairs)
  redis.call('HSET', key, 'state', 'tripped', 'tripped_ms', now)
  redis.call('ZADD', p .. 'switches', now, switch.id)
  redis.call('ZADD', p .. 'tripped', now, switch.id)
  disown(by_account(p, 'scope', switch.lane), pair_fields(pairs), switch.id)
  if switch.name then disown(by_account(p, 'scope', switch.lane), { 'n|' .. switch.name }, switch.id) end
  note_disarm(p, switch.lane, pairs, last_word(switch))
  local last = last_fires(switch)
  if last then note_firing(p, lane, tonumber(switch.deadline_ms)) end
  local fired = redis.call('HGET', p .. 'lane:' .. lane, 'fired_ms') or FIRED_MS
  local reach = last and last + tonumber(fired) or now
  if switch.unsure then -- a request for its timer may yet arrive
    local quiet = redis.call('HGET', p .. 'lane:' .. lane, 'quiet_until')
    reach = math.max(reach, tonumber(quiet or 0) + tonumber(fired))
  end
  for _, pair in ipairs(pairs) do note_reach(p, switch.lane, pair, reach) end
  accept_cancels(p, switch, now, {}, pairs)
  -- In both, so that an older version's workers continue it too.
  redis.call('ZADD', p .. 'due:' .. lane, 0, switch.id)
  switch.state = 'tripped'
  enter_ends(p, lane, switch, 0)
  redis.call('ZADD', p .. 'lanes', 'LT', (lane_ready(p, lane, now)), lane)
  room.left = room.left - #pairs - 1
  go_on(p, switch, now, room)
end
