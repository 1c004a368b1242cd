-- synced(p, lane, holder, fires_ms, way_ms, (id, epoch) * n) -> 1, or 0 if the hold was lost
-- The exchange's timer is known to stand at fires_ms (0: stopped) for these
-- switches, with way_ms taken off for the way. A stopped one that is still disarmed at that epoch ends here.
-- Who no longer holds the lane knows nothing: another may have moved the timer.
-- Keys: see lib/lanes, lib/switches
--- @include lib/holds
--- @include lib/lanes
--- @include lib/renewals
--- @include lib/retire
--- @include lib/switches
local p, lane, holder, fires, way = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local now = now_ms()
if not hold_is(p, lane, holder, now) then return 0 end
for i = 6, #ARGV, 2 do
  local switch = read_switch(p, ARGV[i])
  if switch and switch.state ~= 'tripped' then
    redis.call('HSET', p .. 'switch:' .. switch.id, 'fires_ms', fires, 'synced_ms', now,
      'way_ms', fires == 0 and 0 or way, 'lasts_ms', fires == 0 and 0 or fires + way)
    redis.call('HDEL', p .. 'switch:' .. switch.id, 'put_off_ms', 'failures', 'unsure')
    switch.fires_ms, switch.put_off_ms, switch.unsure = fires, nil, nil
    switch.way_ms = fires == 0 and 0 or way
    if switch.native == '2' and fires == 0 and switch.state ~= 'disarmed' then
      switch.native = '0'
      redis.call('HSET', p .. 'switch:' .. switch.id, 'native', '0')
    end
    if switch.state == 'disarmed' and fires == 0 and switch.epoch == ARGV[i + 1] then
      retire(p, switch, 'disarmed', now)
    else
      place_switch(p, switch, now)
    end
  end
end
reindex(p, lane, now)
return 1
