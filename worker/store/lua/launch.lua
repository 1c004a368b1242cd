-- launch(p, lane, holder, lease_ms, urgent, member, flight_ms, rules, (rule, max, window_ms, kind, weight) * rules,
--     n, (id, epoch) * n, (id, epoch) * dropped)
--   -> 'go', now, earliest deadline | 'wait', ms | 'stale' | 'lost'
-- The last check before a countdown is sent, in one step: the hold is still this worker's, every
-- switch is as planned, a rate slot is free, and no request of another holder may still arrive.
-- That one may arrive for flight_ms after its leave, unless `report` states its fate. From the
-- leave on it is unknown where the timers are, until `report` states it: each switch is due
-- again, also one that was not and shares the request of others. dropped: switches whose timers
-- the request ends, as it overwrites them; their deadlines do not count.
-- Keys: see lib/lanes, lib/switches, lib/limits
--- @include lib/holds
--- @include lib/limits
--- @include lib/renewals
--- @include lib/switches
local p, lane, holder, lease, urgent, member, flight = unpack(ARGV, 1, 7)
local rules = tonumber(ARGV[8])
local now = now_ms()
if not hold_is(p, lane, holder, now) then return { 'lost' } end
local switches, earliest = {}, nil
local first = 10 + 5 * rules
local last = first + 2 * tonumber(ARGV[first - 1])
for i = first, #ARGV, 2 do
  local switch = read_switch(p, ARGV[i])
  if not switch or switch.epoch ~= ARGV[i + 1] or switch.state == 'tripped' then return { 'stale' } end
  if switch.state == 'armed' then
    if now >= ends_at(switch) then return { 'stale' } end
    if i < last then earliest = math.min(earliest or math.huge, tonumber(switch.deadline_ms)) end
  end
  switches[#switches + 1] = switch
end
local quiet = redis.call('HMGET', p .. 'lane:' .. lane, 'quiet_until', 'quiet_but')
if tonumber(quiet[1] or 0) > now and quiet[2] ~= holder then
  return { 'wait', tonumber(quiet[1]) - now }
end
local request = { member = member, flight = tonumber(flight), urgent = urgent == '1' }
local wait = reserve_slots(p, request, rules_in(p, 9, rules), now)
if wait > 0 then return { 'wait', wait } end
take_hold(p, lane, holder, tonumber(lease), now)
redis.call('HSET', p .. 'lane:' .. lane, 'quiet_until', now + flight, 'quiet_but', holder)
for _, switch in ipairs(switches) do
  local lasts = math.max(tonumber(switch.lasts_ms or 0), earliest or 0)
  redis.call('HSET', p .. 'switch:' .. switch.id, 'unsure', 1, 'lasts_ms', lasts)
  switch.unsure, switch.lasts_ms = '1', lasts
  place_switch(p, switch, now)
end
return { 'go', now, earliest or 0 }
