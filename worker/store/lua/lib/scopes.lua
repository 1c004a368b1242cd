-- Which switch owns what of an account. A scope may
-- hold tens of thousands of orders, so that none is looked at by a command of its own.
--   P scope:<lane>  hash  see lib/switches

-- How many fields or members one command names.
local BATCH = 1000

-- in_batches(list, call): call it with parts of a list that one command can name
local function in_batches(list, call)
  for first = 1, #list, BATCH do
    call({ unpack(list, first, math.min(#list, first + BATCH - 1)) })
  end
end

-- owners_of(scope, fields) -> list of switch ids, false for none; own(scope, fields, id);
-- disown(scope, fields, id): give up those of them that are this switch's
local function owners_of(scope, fields)
  local owners = {}
  in_batches(fields, function(part)
    for _, owner in ipairs(redis.call('HMGET', scope, unpack(part))) do owners[#owners + 1] = owner end
  end)
  return owners
end

local function own(scope, fields, id)
  in_batches(fields, function(part)
    local values = {}
    for i, field in ipairs(part) do values[2 * i - 1], values[2 * i] = field, id end
    redis.call('HSET', scope, unpack(values))
  end)
end

local function disown(scope, fields, id)
  local mine = {}
  for i, owner in ipairs(owners_of(scope, fields)) do
    if owner == id then mine[#mine + 1] = fields[i] end
  end
  in_batches(mine, function(part) redis.call('HDEL', scope, unpack(part)) end)
end

-- change(verb, key, members): SADD or SREM
local function change(verb, key, members)
  in_batches(members, function(part) redis.call(verb, key, unpack(part)) end)
end

-- order_fields(orders) -> list of what a scope calls them
local function order_fields(orders)
  local fields = {}
  for i, order in ipairs(orders) do fields[i] = 'o|' .. order end
  return fields
end

-- some_of(key, most) -> up to so many members of a set; whether there are others. Without the right
-- to ask for a part, as of users whose rights are of an older version, a part of all.
local function some_of(key, most)
  local size = redis.pcall('SCARD', key)
  if type(size) == 'number' and size > most then
    local part = redis.pcall('SRANDMEMBER', key, most)
    if not part.err then return part, true end
  end
  local all = redis.call('SMEMBERS', key)
  if #all <= most then return all, false end
  local part = {}
  for i = 1, most do part[i] = all[i] end
  return part, true
end
