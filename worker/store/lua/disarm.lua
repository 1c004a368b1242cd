-- disarm(p, id, epoch, queue, bell) -> state before, epoch
-- End a switch without canceling. An epoch of 0 is any. Where the exchange holds
-- a timer, the switch is kept until that is known to be stopped.
-- Keys: see switches.lua; the broker's queue
local p, id, epoch, queue, bell = unpack(ARGV, 1, 5)
local now = now_ms()
local switch = read_switch(p, id)
if not switch then return { 'unknown', 0 } end
local current = tonumber(switch.epoch)
if epoch ~= '0' and switch.epoch ~= epoch then return { 'replaced', current } end
if switch.state ~= 'armed' then return { switch.state, current } end
if now >= ends_at(switch) then
  trip(p, switch, now)
  return { 'tripped', current }
end
switch.state, switch.epoch = 'disarmed', current + 1
redis.call('HSET', p .. 'switch:' .. id, 'state', 'disarmed', 'epoch', current + 1)
if switch.native == '1' then
  redis.call('ZADD', p .. 'switches', now, id)
  local lane = place_switch(p, switch, now)
  redis.call('HDEL', p .. 'lane:' .. lane, 'not_before')
  reindex(p, lane, now)
  redis.call('LPUSH', queue, bell)
else
  retire(p, switch, 'disarmed', now)
  reindex(p, switch_lane(switch.lane), now)
end
return { 'armed', current + 1 }
