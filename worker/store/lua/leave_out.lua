-- leave_out(p, lane, holder, id * n) -> 1, or 0 if the hold was lost
-- Where an account has one timer with one list of pairs: workers hold the deadlines of these
-- switches from now on, as the timer serves others. A timer that they may have is to be stopped.
-- The switch gets a place in the timer again with a heartbeat; see beat.lua.
-- Keys: see lib/lanes, lib/switches
--- @include lib/holds
--- @include lib/lanes
--- @include lib/renewals
--- @include lib/switches
local p, lane, holder = ARGV[1], ARGV[2], ARGV[3]
local now = now_ms()
if not hold_is(p, lane, holder, now) then return 0 end
for i = 4, #ARGV do
  local switch = read_switch(p, ARGV[i])
  if switch and switch.state == 'armed' and switch.native == '1' then
    switch.native = (switch.unsure or tonumber(switch.fires_ms or 0) > 0) and '2' or '0'
    redis.call('HSET', p .. 'switch:' .. switch.id, 'native', switch.native, 'held_why', 'shared')
    place_switch(p, switch, now)
  end
end
reindex(p, lane, now)
return 1
