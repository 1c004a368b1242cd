-- How a switch is disarmed, by its holder or by a later switch.
-- Keys: see lib/switches
--- @include lib/bells
--- @include lib/disarms
--- @include lib/lanes
--- @include lib/renewals
--- @include lib/retire
--- @include lib/switches
--- @include lib/trips

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

-- give_way(p, switch, now) -> its state for its holder. Another holds a part of its scope, and
-- its own learns of that now: so no strategy relies on its deadline any more.
local function give_way(p, switch, now)
  if not is_live(switch) then return switch.state end
  if has_ended(switch, now) then
    trip(p, switch, now)
    return 'tripped'
  end
  if switch.native == '0' then
    retire(p, switch, 'disarmed', now)
  else -- its timer is not stopped yet
    switch.state = 'disarmed'
    redis.call('HSET', p .. 'switch:' .. switch.id, 'state', 'disarmed')
    redis.call('ZADD', p .. 'switches', now, switch.id)
    call_to(p, place_switch(p, switch, now))
  end
  reindex(p, switch_lane(switch.lane), now)
  return 'replaced'
end
