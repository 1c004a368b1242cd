-- Names of switches: unique among the live switches of an account.
-- Keys: P scope:<lane> hash  'n|<name>' -> switch id; see lib/switches
--- @include lib/lanes
--- @include lib/scopes
--- @include lib/switches

local function name_field(name) return 'n|' .. name end

-- named_switch(p, lane, name) -> the live switch of the lane's account that has this name, or nil
local function named_switch(p, lane, name)
  local id = redis.call('HGET', by_account(p, 'scope', lane), name_field(name))
  local switch = id and read_switch(p, id)
  if switch and is_live(switch) and switch.name == name then return switch end
  return nil
end

-- set_name(p, lane, id, name, before): name a switch, whose name was `before` or nil. No other
-- live switch has the name.
local function set_name(p, lane, id, name, before)
  local scope = by_account(p, 'scope', lane)
  if before and before ~= name then disown(scope, { name_field(before) }, id) end
  if name == '' then
    redis.call('HDEL', p .. 'switch:' .. id, 'name')
    return
  end
  redis.call('HSET', p .. 'switch:' .. id, 'name', name)
  redis.call('HSET', scope, name_field(name), id)
end
