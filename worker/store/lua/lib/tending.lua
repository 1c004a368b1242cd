-- How the switches of a lane are handled that are due.
-- Keys: see lib/switches
--- @include lib/clearing
--- @include lib/ends
--- @include lib/holds
--- @include lib/jobs
--- @include lib/lanes
--- @include lib/renewals
--- @include lib/retire
--- @include lib/switches
--- @include lib/trips

-- ended_by(switch) -> ms from which a timer that could not be stopped has long fired.
local function ended_by(switch)
  return math.max(tonumber(switch.deadline_ms), tonumber(switch.fires_ms or 0),
    tonumber(switch.lasts_ms or 0)) + 10000
end

-- trip_ended(p, lane, index, room, now): trip what has run out of an index, however many wait to
-- be renewed. An older version's scripts leave what has ended in that of the workers.
local function trip_ended(p, lane, index, room, now)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', now, 'LIMIT', 0, LOOK_MAX)) do
    if room.left <= 0 then return end
    local switch = read_switch(p, id)
    if not switch and index == end_indexes(p, lane)[1] then
      set_aside(p, lane, id, now)
    elseif not switch or switch_lane(switch.lane) ~= lane or not redis.call('ZSCORE', p .. 'due:' .. lane, id) then
      redis.call('ZREM', index, id)
    elseif switch.state == 'tripped' then go_on(p, switch, now, room)
    elseif not is_live(switch) then redis.call('ZREM', index, id)
    elseif has_ended(switch, now) then trip(p, switch, now, room)
    elseif now < ends_at(switch) then place_switch(p, switch, now) end
  end
end

-- tend(p, lane, holder, lease, now) -> whether the holder must bring the exchange
-- in line, and now holds the lane; whether more is to be done at once. Trips what has run out.
local function tend(p, lane, holder, lease, now)
  local syncs, room = false, { left = PART }
  local timers, workers = unpack(end_indexes(p, lane))
  trip_ended(p, lane, workers, room, now)
  -- While another holder sends, or the lane rests: a request may yet move a timer.
  if lane_ready(p, lane, now) > now then
    reindex(p, lane, now)
    return false, room.left <= 0
  end
  trip_ended(p, lane, timers, room, now)
  for _, id in ipairs(due_switches(p, lane, now)) do
    local switch = read_switch(p, id)
    local over = switch and is_live(switch) and has_ended(switch, now)
    if not switch then
      set_aside(p, lane, id, now)
    elseif switch.ending then
      retire(p, switch, switch.state, now)
      room.left = 0
    elseif switch.state == 'tripped' or (over and room.left <= 0) then -- left to the next time
    elseif over then
      trip(p, switch, now, room)
    elseif switch.state == 'waiting' and clearing(p, switch.lane, split(switch.pairs), now) then
      place_switch(p, switch, now)
    elseif switch.state == 'waiting' then
      switch.state = 'armed'
      redis.call('HSET', p .. 'switch:' .. id, 'state', 'armed')
      redis.call('ZADD', p .. 'switches', now, id)
      place_switch(p, switch, now)
      syncs = syncs or needs_sync(switch)
    elseif switch.state == 'disarmed' and now > ended_by(switch) then
      retire(p, switch, 'disarmed', now)
    elseif needs_sync(switch) and sync_from(switch, now) <= now then
      syncs = true
      want(p, switch, now)
    else
      place_switch(p, switch, now)
    end
  end
  if syncs then
    take_hold(p, lane, holder, lease, now)
    redis.call('HDEL', p .. 'lane:' .. lane, 'called')
  end
  reindex(p, lane, now)
  return syncs, room.left <= 0
end
