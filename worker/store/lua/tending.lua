-- Shared by the scripts that move switches; comes after switches.lua. When the switches of a lane
-- are looked at, and what is done then.
-- Keys: see switches.lua

-- call_to(p, lane): have a lane looked at however long it was to rest; also when
-- it is being tended to, and is about to be put to rest.
local function call_to(p, lane)
  redis.call('HDEL', p .. 'lane:' .. lane, 'not_before')
  redis.call('HSET', p .. 'lane:' .. lane, 'called', 1)
end

-- lag_of(switch) -> ms by which the exchange's timer could fire later than it will
local function lag_of(switch)
  return tonumber(switch.deadline_ms) - tonumber(switch.way_ms or 0) - tonumber(switch.fires_ms or 0)
end

-- renews_at(switch) -> ms from which a timer that lags a little is renewed, or nil: so that
-- a failure finds time left however rarely its strategy beats.
local function renews_at(switch)
  local timeout = tonumber(switch.timeout_ms)
  if lag_of(switch) <= timeout / 32 then return nil end
  return tonumber(switch.fires_ms or 0) - timeout / 2
end

-- needs_sync(switch): whether the exchange's timer is not where it should be: it
-- lags by a quarter of the timeout, or a little when half of the timeout is left, would
-- outlive a deadline that was moved closer, or may be anywhere.
local function needs_sync(switch)
  if switch.native == '0' or switch.state == 'waiting' then return false end
  if switch.state == 'disarmed' or switch.unsure or switch.native == '2' then return true end
  if tonumber(switch.fires_ms or 0) > tonumber(switch.deadline_ms) then return true end
  if lag_of(switch) >= tonumber(switch.timeout_ms) / 4 then return true end
  local at = renews_at(switch)
  return at ~= nil and now_ms() >= at
end

-- sync_from(switch, now) -> ms from which the exchange is to be brought in line
local function sync_from(switch, now) return math.max(now, tonumber(switch.put_off_ms or 0)) end

-- merely_lags(switch): whether the exchange's timer does run, and fires by the deadline.
local function merely_lags(switch)
  local fires = tonumber(switch.fires_ms or 0)
  return switch.state == 'armed' and switch.native == '1' and fires > 0 and fires <= tonumber(switch.deadline_ms)
end

-- want(p, switch, now): its timer is not where it should be; since when, is kept.
local function want(p, switch, now)
  if not switch.wants_ms then redis.call('HSET', p .. 'switch:' .. switch.id, 'wants_ms', now) end
end

-- place_switch(p, switch, now): say when it must be looked at next. What is more
-- than a renewal goes ahead of all renewals, however many wait.
local function place_switch(p, switch, now)
  local lane = switch_lane(switch.lane)
  if switch.ending or switch.state == 'tripped' then -- its orders are not all dealt with
    if switch.state == 'tripped' then redis.call('ZADD', p .. 'ends:' .. lane, 0, switch.id) end
    redis.call('ZADD', p .. 'due:' .. lane, 0, switch.id)
    return lane
  end
  local at = math.huge
  if not needs_sync(switch) then
    if switch.wants_ms then redis.call('HDEL', p .. 'switch:' .. switch.id, 'wants_ms') end
    if switch.native == '1' and switch.state == 'armed' then at = renews_at(switch) or at end
  else
    want(p, switch, now)
    at = merely_lags(switch) and sync_from(switch, now) or tonumber(switch.put_off_ms or 0)
  end
  if switch.state == 'waiting' then
    at = math.min(now + WAITING_LOOK_MS, ends_at(switch))
  elseif switch.state == 'armed' then
    at = math.min(at, ends_at(switch))
    if switch.native ~= '0' then
      redis.call('ZADD', p .. 'ends:' .. lane, ends_at(switch), switch.id)
    else
      redis.call('ZREM', p .. 'ends:' .. lane, switch.id)
    end
  else
    redis.call('ZREM', p .. 'ends:' .. lane, switch.id)
  end
  redis.call('ZADD', p .. 'due:' .. lane, at, switch.id)
  return lane
end

-- end_switch(p, switch, at, queue, bell, now) -> its epoch: disarm an armed switch. Where
-- the exchange holds a timer, it is kept until that is known to be stopped.
local function end_switch(p, switch, at, queue, bell, now)
  note_disarm(p, switch.lane, split(switch.pairs), at)
  switch.state, switch.epoch, switch.put_off_ms = 'disarmed', tonumber(switch.epoch) + 1, nil
  local key = p .. 'switch:' .. switch.id
  redis.call('HSET', key, 'state', 'disarmed', 'epoch', switch.epoch)
  redis.call('HDEL', key, 'put_off_ms', 'failures')
  if switch.native ~= '0' then
    redis.call('ZADD', p .. 'switches', now, switch.id)
    local lane = place_switch(p, switch, now)
    call_to(p, lane)
    reindex(p, lane, now)
    ring(p, queue, bell)
  else
    retire(p, switch, 'disarmed', now)
    reindex(p, switch_lane(switch.lane), now)
  end
  return switch.epoch
end

-- ended_by(switch) -> ms from which a timer that could not be stopped has long fired.
local function ended_by(switch)
  return math.max(tonumber(switch.deadline_ms), tonumber(switch.fires_ms or 0),
    tonumber(switch.lasts_ms or 0)) + 10000
end

-- give_way(p, switch, now) -> its state for its holder. Another holds a part of its scope, and
-- its own hears of that now: so nobody relies on its deadline any more.
local function give_way(p, switch, now)
  if not is_live(switch) then return switch.state end
  if has_ended(switch, now) then
    trip(p, switch, now)
    return 'tripped'
  end
  if switch.native == '0' then
    retire(p, switch, 'disarmed', now)
  else -- its timer has yet to be stopped
    switch.state = 'disarmed'
    redis.call('HSET', p .. 'switch:' .. switch.id, 'state', 'disarmed')
    redis.call('ZADD', p .. 'switches', now, switch.id)
    call_to(p, place_switch(p, switch, now))
  end
  reindex(p, switch_lane(switch.lane), now)
  return 'replaced'
end

-- tend(p, lane, holder, lease, now) -> whether the holder must bring the exchange
-- in line, and now holds the lane; whether more is to be done at once. Trips what has run out.
function tend(p, lane, holder, lease, now)
  local syncs, room = false, { left = PART }
  -- However many wait to be renewed before them.
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', p .. 'ends:' .. lane, '-inf', now, 'LIMIT', 0, LOOK_MAX)) do
    if room.left <= 0 then break end
    local switch = read_switch(p, id)
    if not switch then set_aside(p, lane, id, now)
    elseif switch.state == 'tripped' then go_on(p, switch, now, room)
    elseif has_ended(switch, now) then trip(p, switch, now, room)
    elseif now < ends_at(switch) then place_switch(p, switch, now) end
  end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', p .. 'due:' .. lane, '-inf', now, 'LIMIT', 0, LOOK_MAX)) do
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
