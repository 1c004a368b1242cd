-- report(p, lane, holder, report, release) -> 1, or 0 if another worker holds the lane
-- Record what is known of a countdown request, and give the lane up, in one step. Each of the
-- two is '' or a JSON object:
--   report   grant, rules, arrived: the request's rate slots, see lib/slots
--            timers: absent where nothing is known of them; fires_ms (0: stopped), way_ms
--            (taken off the countdown for the way), members (list of { id, epoch }), dropped
--            (likewise: those whose timers the request has ended), pairs (list: what the request
--            named, where one request overwrites all; see read_turn.lua)
--   release  pause_ms, quiet, failed (list of ids), first_ms, longest_ms
-- The slots are recorded also for a worker that has lost the lane. Timers count from the holder alone: another
-- worker may have moved them since. A switch whose timer is stopped, and which is still disarmed
-- at that epoch, ends here.
-- A released lane is due again after pause_ms, or at its first deadline if that is sooner; at
-- once if it was called to since it was claimed. If `quiet`, no worker may send until then: the
-- request may still arrive. Else the holder's own quiet period ends. Each switch in `failed` is
-- deferred by first_ms, then by twice as long with each failure, up to longest_ms.
-- Keys: see lib/lanes, lib/slots, lib/switches
--- @include lib/firings
--- @include lib/holds
--- @include lib/lanes
--- @include lib/renewals
--- @include lib/retire
--- @include lib/slots
--- @include lib/switches
local p, lane, holder = ARGV[1], ARGV[2], ARGV[3]
local report = ARGV[4] ~= '' and cjson.decode(ARGV[4]) or {}
local release_as = ARGV[5] ~= '' and cjson.decode(ARGV[5])
local now = now_ms()

-- record_timer(id, epoch, fires, way): where the exchange's timer is now known to be.
local function record_timer(id, epoch, fires, way)
  local switch = read_switch(p, id)
  if not switch or switch.state == 'tripped' then return end
  local key = p .. 'switch:' .. id
  if fires == 0 then way = 0 end
  local before = tonumber(switch.fires_ms or 0)
  if before > 0 and before <= now then note_firing(p, switch_lane(switch.lane), before) end
  redis.call('HSET', key, 'fires_ms', fires, 'synced_ms', now, 'way_ms', way, 'lasts_ms', fires + way)
  redis.call('HDEL', key, 'put_off_ms', 'failures', 'unsure')
  switch.fires_ms, switch.way_ms, switch.put_off_ms, switch.unsure = fires, way, nil, nil
  if switch.native == '2' and fires == 0 and switch.state ~= 'disarmed' then
    switch.native = '0'
    redis.call('HSET', key, 'native', '0')
  end
  if switch.state == 'disarmed' and fires == 0 and tonumber(switch.epoch) == epoch then
    retire(p, switch, 'disarmed', now)
  else
    place_switch(p, switch, now)
  end
end

-- defer(id): let other switches go before one that has failed.
local function defer(id)
  local switch = read_switch(p, id)
  if not switch or switch.state == 'tripped' then return end
  local failures = tonumber(switch.failures or 0)
  local wait = math.min(release_as.longest_ms, release_as.first_ms * 2 ^ math.min(failures, 20))
  switch.put_off_ms = now + wait
  redis.call('HSET', p .. 'switch:' .. id, 'put_off_ms', switch.put_off_ms, 'failures', failures + 1)
  place_switch(p, switch, now)
end

if report.grant then note_arrival(p, report.grant, report.arrived, report.rules, now) end
if redis.call('HGET', hold_key(p, lane), 'holder') ~= holder then return 0 end
local timers = report.timers
if timers and hold_is(p, lane, holder, now) then
  for _, member in ipairs(timers.members) do
    record_timer(member[1], member[2], timers.fires_ms, timers.way_ms)
  end
  for _, member in ipairs(timers.dropped or {}) do
    record_timer(member[1], member[2], 0, 0)
  end
  if timers.pairs and timers.pairs[1] then
    redis.call('HSET', p .. 'lane:' .. lane, 'timer_list', table.concat(timers.pairs, ','))
  end
end
if release_as then
  for _, id in ipairs(release_as.failed) do defer(id) end
  release(p, lane, holder, now)
  local key = p .. 'lane:' .. lane
  if release_as.quiet then
    redis.call('HSET', key, 'quiet_until', now + release_as.pause_ms, 'quiet_but', '')
  elseif redis.call('HGET', key, 'quiet_but') == holder then
    redis.call('HDEL', key, 'quiet_until', 'quiet_but')
  end
  local called = redis.call('HDEL', key, 'called') == 1
  if release_as.pause_ms > 0 and not called then
    local first = redis.call('ZRANGE', p .. 'ends:' .. lane, 0, 0, 'WITHSCORES')
    redis.call('HSET', key, 'not_before', math.min(now + release_as.pause_ms, tonumber(first[2] or math.huge)))
  end
end
reindex(p, lane, now)
return 1
