-- beat(p, id, epoch, queue, bell, since_ms) -> state, left_ms, in_time, epoch
-- Move the deadline on to a timeout from when the beat was called, however long Redis
-- took to run it; never back. With since_ms it counts from there, if that was before the call:
-- a moment of shared time. state: armed, or why not: tripped,
-- disarmed, replaced (a later epoch), unknown. in_time: 1 if the exchange's timer
-- (native) is where it should be, or, with none, a worker that serves the account
-- lives to hold the deadline. An epoch of 0 is any.
-- A switch that was left out of the account's one timer is served by it again, if there is room.
-- Rings when the exchange's timer lags by a quarter of the timeout;
-- BELL in the message becomes an id of its own.
-- Keys: P switch:<id>; P due:<lane>:switch; P ends:<lane>:switch; P lanes;
-- P servers:<lane>; P serving; P <queue> list, the broker's
--- @constants LAG_SHARE PRESENCE_MS
--- @include lib/bells
--- @include lib/endings
--- @include lib/lanes
--- @include lib/renewals
--- @include lib/sharing
--- @include lib/switches
--- @include lib/trips
local p, id, epoch, queue, bell = unpack(ARGV, 1, 5)
local since = tonumber(ARGV[6])
local now = now_ms()
local switch = read_switch(p, id)
if not switch then return { 'unknown', 0, 0, 0 } end
local current = tonumber(switch.epoch)
if epoch ~= '0' and switch.epoch ~= epoch then return { 'replaced', 0, 0, current } end
if switch.replaced_by then return { give_way(p, switch, now), 0, 0, current } end
if not is_live(switch) then return { switch.state, 0, 0, current } end
if has_ended(switch, now) then
  trip(p, switch, now)
  return { 'tripped', 0, 0, current }
end
local lagged, planned = needs_sync(switch), renews_at(switch)
local timeout = tonumber(switch.timeout_ms)
local called = since > 0 and math.min(since, called_ms()) or called_ms()
local from = math.max(called, math.min(tonumber(switch.beat_ms), now))
local deadline = from + timeout
switch.deadline_ms = deadline
redis.call('HSET', p .. 'switch:' .. id, 'deadline_ms', deadline, 'beat_ms', from)
if switch.native == '0' and switch.held_why == 'shared' and switch.state == 'armed'
  and finds_room(p, switch_lane(switch.lane), { id = id, timeout = timeout, deadline = deadline, pairs = split(switch.pairs) })
then
  switch.native, lagged = '1', false
  redis.call('HSET', p .. 'switch:' .. id, 'native', '1', 'held_why', switch.partly or '', 'fires_ms', 0)
  switch.fires_ms = '0'
end
local lane = place_switch(p, switch, now)
local in_time
if switch.state == 'waiting' then
  in_time = false
elseif switch.native == '1' then
  -- A timer that would outlive the deadline that was renewed is not in time either.
  local fires = tonumber(switch.fires_ms or 0)
  in_time = fires > now + timeout / LAG_SHARE and fires <= deadline
  local renewal = not planned and renews_at(switch)
  if renewal then
    redis.call('ZADD', p .. 'lanes', 'LT', math.max(renewal, (lane_ready(p, lane, now))), lane)
  end
  if not lagged and needs_sync(switch) then
    redis.call('ZADD', p .. 'lanes', 'LT', (lane_ready(p, lane, now)), lane)
    ring(p, queue, (string.gsub(bell, 'BELL', id .. '.' .. now)))
  end
else
  for _, digest in ipairs(redis.call('SMEMBERS', p .. 'servers:' .. switch.lane)) do
    local seen = redis.call('ZSCORE', p .. 'serving', digest)
    in_time = in_time or (seen and tonumber(seen) > now - PRESENCE_MS)
  end
end
return { 'armed', deadline - now, in_time and 1 or 0, current }
