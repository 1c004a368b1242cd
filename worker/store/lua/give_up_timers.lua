-- give_up_timers(p, lane, holder, shortest_ms, keep_ms, why, (id, epoch) * n) -> 1, or 0 if the hold was lost
-- The exchange answers too slowly for the timers of these switches: workers hold their
-- deadlines from now on, and the timers are to be stopped. For keep_ms what is armed
-- in the lane with a timeout below shortest_ms is held by workers, too. With a `why` it is not that
-- the exchange answers slowly: for keep_ms no timer of the lane is used, for that reason.
-- Keys: see lib/lanes, lib/switches
--- @include lib/holds
--- @include lib/lanes
--- @include lib/renewals
--- @include lib/switches
local p, lane, holder = ARGV[1], ARGV[2], ARGV[3]
local shortest, keep, why = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local now = now_ms()
if not hold_is(p, lane, holder, now) then return 0 end
if why == '' then
  why = 'slow ' .. shortest
  redis.call('HSET', p .. 'lane:' .. lane, 'slow_ms', shortest, 'slow_until', now + keep)
else
  redis.call('HSET', p .. 'lane:' .. lane, 'unused_why', why, 'unused_until', now + keep)
end
for i = 7, #ARGV, 2 do
  local switch = read_switch(p, ARGV[i])
  if switch and switch.state == 'armed' and switch.native == '1' and switch.epoch == ARGV[i + 1] then
    switch.native = '2'
    redis.call('HSET', p .. 'switch:' .. switch.id, 'native', '2', 'held_why', why)
    place_switch(p, switch, now)
  end
end
reindex(p, lane, now)
return 1
