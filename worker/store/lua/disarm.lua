-- disarm(p, id, epoch, queue, bell) -> state before, epoch
-- End a switch without canceling. An epoch of 0 is any. Where the exchange holds
-- a timer, the switch is kept until that is known to be stopped.
-- Keys: see lib/switches; P <queue> list, the broker's
--- @include lib/endings
--- @include lib/switches
--- @include lib/trips
local p, id, epoch, queue, bell = unpack(ARGV, 1, 5)
local now = now_ms()
local switch = read_switch(p, id)
if not switch then return { 'unknown', 0 } end
local current = tonumber(switch.epoch)
if epoch ~= '0' and switch.epoch ~= epoch then return { 'replaced', current } end
if not is_live(switch) then return { switch.state, current } end
if has_ended(switch, now) then
  trip(p, switch, now)
  return { 'tripped', current }
end
return { 'armed', end_switch(p, switch, now, queue, bell, now) }
