-- When the exchange's timer of a switch is to be set, and when the switch is looked at next.
-- Keys: see lib/switches
--- @constants LAG_SHARE LEFT_SHARE SLACK_SHARE
--- @include lib/ends
--- @include lib/lanes
--- @include lib/switches

-- How often a waiting switch is looked at.
local WAITING_LOOK_MS = 200
-- What is more than a renewal is due by so much less than the moment at which it is needed.
local SOONER_MS = 1e14

-- call_to(p, lane): have a lane looked at however long it was to rest; also when
-- it is being reconciled, and is about to be released.
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
  if lag_of(switch) <= timeout / SLACK_SHARE then return nil end
  return tonumber(switch.fires_ms or 0) - timeout / LEFT_SHARE
end

-- needs_sync(switch): whether the exchange's timer is not where it should be: it
-- lags by a quarter of the timeout, or a little when half of the timeout is left, would
-- outlive a deadline that was moved closer, or may be anywhere.
local function needs_sync(switch)
  if switch.native == '0' or switch.state == 'waiting' then return false end
  if switch.state == 'disarmed' or switch.unsure or switch.native == '2' then return true end
  if tonumber(switch.fires_ms or 0) > tonumber(switch.deadline_ms) then return true end
  if lag_of(switch) >= tonumber(switch.timeout_ms) / LAG_SHARE then return true end
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

-- due_from(switch, now) -> the place of a switch whose timer is not where it should be. What is more
-- than a renewal is due at once, in the order in which it is needed: a timer that is to be stopped
-- or moved by when it fires, one that is missing by the deadline. One that has failed is put off.
local function due_from(switch, now)
  if merely_lags(switch) then return sync_from(switch, now) end
  local put_off, fires = tonumber(switch.put_off_ms or 0), tonumber(switch.fires_ms or 0)
  if put_off > now then return put_off end
  return (fires > 0 and fires or tonumber(switch.deadline_ms)) - SOONER_MS
end

-- due_switches(p, lane, now) -> ids of those to be looked at: as many that need more than a renewal
-- as of all others, so that neither waits for the other.
local function due_switches(p, lane, now)
  local due, half = p .. 'due:' .. lane, LOOK_MAX / 2
  local ids = redis.call('ZRANGEBYSCORE', due, '-inf', '(0', 'LIMIT', 0, half)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, 0, now, 'LIMIT', 0, half)) do ids[#ids + 1] = id end
  return ids
end

-- want(p, switch, now): its timer is not where it should be; since when, is kept.
local function want(p, switch, now)
  if not switch.wants_ms then redis.call('HSET', p .. 'switch:' .. switch.id, 'wants_ms', now) end
end

-- place_switch(p, switch, now): say when it must be looked at next.
local function place_switch(p, switch, now)
  local lane = switch_lane(switch.lane)
  if switch.ending or switch.state == 'tripped' then -- its orders are not all dealt with
    if switch.state == 'tripped' then enter_ends(p, lane, switch, 0) end
    redis.call('ZADD', p .. 'due:' .. lane, 0, switch.id)
    return lane
  end
  local at = math.huge
  if not needs_sync(switch) then
    if switch.wants_ms then redis.call('HDEL', p .. 'switch:' .. switch.id, 'wants_ms') end
    if switch.native == '1' and switch.state == 'armed' then at = renews_at(switch) or at end
  else
    want(p, switch, now)
    at = due_from(switch, now)
  end
  if is_live(switch) then
    if switch.state == 'waiting' then at = now + WAITING_LOOK_MS end
    at = math.min(at, ends_at(switch))
    enter_ends(p, lane, switch, ends_at(switch))
  else
    leave_ends(p, lane, switch)
  end
  redis.call('ZADD', p .. 'due:' .. lane, at, switch.id)
  return lane
end
