-- track(p, id, epoch, verb, order_pair, order_id * n) -> state, other switch
-- Add order ids to a switch, or take them out (verb 'track', 'untrack'). An order
-- that another armed switch tracks is refused: state 'overlap'.
-- Keys: see lib/switches
--- @constants EVERYTHING
--- @include lib/endings
--- @include lib/lanes
--- @include lib/scopes
--- @include lib/switches
--- @include lib/trips
local p, id, epoch, verb, order_pair = unpack(ARGV, 1, 5)
local now = now_ms()
local switch = read_switch(p, id)
if not switch then return { 'unknown', '' } end
if epoch ~= '0' and switch.epoch ~= epoch then return { 'replaced', '' } end
if switch.replaced_by then return { give_way(p, switch, now), '' } end
if is_live(switch) and has_ended(switch, now) then
  trip(p, switch, now)
  return { 'tripped', '' }
end
if not is_live(switch) then return { switch.state, '' } end
local scope, tracked = by_account(p, 'scope', switch.lane), p .. 'switch:' .. id .. ':orders'
local orders = {}
for i = 6, #ARGV do orders[#orders + 1] = ARGV[i] end
if verb == 'track' then
  local seen = { [id] = true }
  for _, owner in ipairs(owners_of(scope, order_fields(orders))) do
    local other = owner and not seen[owner] and read_switch(p, owner)
    if other and is_live(other) then return { 'overlap', owner } end
    if owner then seen[owner] = true end
  end
  local whole = redis.call('HGET', scope, pair_field(EVERYTHING))
  local other = whole and whole ~= id and read_switch(p, whole)
  if other and is_live(other) then return { 'overlap', whole } end
  if order_pair ~= '' then redis.call('HSET', p .. 'switch:' .. id, 'order_pair', order_pair) end
  own(scope, order_fields(orders), id)
  change('SADD', tracked, orders)
else
  disown(scope, order_fields(orders), id)
  change('SREM', tracked, orders)
end
return { 'armed', '' }
