-- disarm(p, id, epoch, queue, bell, sent_ms, message, again) -> state before or 'stale', epoch
-- End a switch without canceling. An epoch of 0 is any. Where the exchange holds
-- a timer, the switch is kept until that is known to be stopped. A message sent
-- (sent_ms, if not 0) before the last beat is stale: it ends nothing. Nor does one
-- (message, if not '') that comes again (again 1) and was taken before: what is armed by now
-- came later. Then there need be no switch, and id may be ''.
-- Keys: see switches.lua; P said:<message>; the broker's queue
local p, id, epoch, queue, bell = unpack(ARGV, 1, 5)
local sent, message, again = tonumber(ARGV[6]), ARGV[7], ARGV[8] == '1'
local now = now_ms()
if message ~= '' then
  local taken = redis.call('SET', p .. 'said:' .. message, 1, 'NX', 'PX', KEEP_MS)
  if again and not taken then return { 'stale', 0 } end
end
local switch = read_switch(p, id)
if not switch then return { 'unknown', 0 } end
local current = tonumber(switch.epoch)
if epoch ~= '0' and switch.epoch ~= epoch then return { 'replaced', current } end
if switch.state ~= 'armed' then return { switch.state, current } end
if now >= ends_at(switch) then
  trip(p, switch, now)
  return { 'tripped', current }
end
if sent > 0 and sent < tonumber(switch.beat_ms) then return { 'stale', current } end
note_disarm(p, switch, sent > 0 and math.min(sent, now + AHEAD_MAX_MS) or now)
switch.state, switch.epoch = 'disarmed', current + 1
switch.put_off_ms = nil
redis.call('HSET', p .. 'switch:' .. id, 'state', 'disarmed', 'epoch', current + 1)
redis.call('HDEL', p .. 'switch:' .. id, 'put_off_ms', 'failures')
if switch.native == '1' then
  redis.call('ZADD', p .. 'switches', now, id)
  local lane = place_switch(p, switch, now)
  call_to(p, lane)
  reindex(p, lane, now)
  redis.call('LPUSH', queue, bell)
else
  retire(p, switch, 'disarmed', now)
  reindex(p, switch_lane(switch.lane), now)
end
return { 'armed', current + 1 }
