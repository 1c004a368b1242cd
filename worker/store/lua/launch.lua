-- launch(p, lane, holder, lease_ms, urgent, member, flight_ms, rules, (rule, max, window_ms, kind) * rules, (id, epoch) * n)
--   -> 'go', now, earliest deadline | 'wait', ms | 'stale' | 'lost'
-- The last look before a countdown is sent: the hold is still ours, every switch
-- stands as it was planned for, there is a rate slot, and no request of another
-- holder may yet arrive: from its leave on for flight_ms, unless `rest` said that
-- its fate is known. All in one step. From here on nobody knows where the timers
-- stand, until `synced` tells.
-- Keys: see lib/lanes, lib/switches, lib/limits
--- @include lib/holds
--- @include lib/limits
--- @include lib/switches
local p, lane, holder, lease, urgent, member, flight = unpack(ARGV, 1, 7)
local rules = tonumber(ARGV[8])
local now = now_ms()
if not hold_is(p, lane, holder, now) then return { 'lost' } end
local earliest
for i = 9 + 4 * rules, #ARGV, 2 do
  local switch = read_switch(p, ARGV[i])
  if not switch or switch.epoch ~= ARGV[i + 1] or switch.state == 'tripped' then return { 'stale' } end
  if switch.state == 'armed' then
    if now >= ends_at(switch) then return { 'stale' } end
    earliest = math.min(earliest or math.huge, tonumber(switch.deadline_ms))
  end
end
local quiet = redis.call('HMGET', p .. 'lane:' .. lane, 'quiet_until', 'quiet_but')
if tonumber(quiet[1] or 0) > now and quiet[2] ~= holder then
  return { 'wait', tonumber(quiet[1]) - now }
end
local wait = reserve_slots(p, member, tonumber(flight), urgent == '1', now, 9, rules)
if wait > 0 then return { 'wait', wait } end
take_hold(p, lane, holder, tonumber(lease), now)
redis.call('HSET', p .. 'lane:' .. lane, 'quiet_until', now + flight, 'quiet_but', holder)
for i = 9 + 4 * rules, #ARGV, 2 do
  local last = tonumber(redis.call('HGET', p .. 'switch:' .. ARGV[i], 'lasts_ms') or 0)
  redis.call('HSET', p .. 'switch:' .. ARGV[i], 'unsure', 1, 'lasts_ms', math.max(last, earliest or 0))
end
return { 'go', now, earliest or 0 }
