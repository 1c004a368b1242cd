-- Which lanes are one account.
-- An account is what its exchange and its key are; aliases are names for it. The lane that
-- was registered first for an identity stands for its others: it has their scopes, their
-- switches and their hold. Jobs stay in the lane that they were accepted in.
--   P identity:<digest>  zset  lane -> ms since when it is registered for that identity
--   P lane:<lane>        hash  beside what lib/lanes has: identity; canon, the lane that
--                              stands for the account; joined, the lanes of one hold
--   P lane:<alias>       hash  moved: 1 once no scope is kept by that alias any more
--   P scope:<alias>      what an older version's arm finds in place of its hash, and fails at
--- @include lib/disarms
--- @include lib/ends
--- @include lib/lanes
--- @include lib/renewals
--- @include lib/switches

-- Members of P registered:<digest> that are no lanes: the claimant's form of registration,
-- and that it is to register again.
local MARK_FORMAT, MARK_AGAIN = '!2', '!again'

-- armed_last(p, one, other) -> the switch of the two that was armed last, and the other
local function armed_last(p, one, other)
  local first = tonumber(redis.call('ZSCORE', p .. 'switches', one.id) or 0)
  local second = tonumber(redis.call('ZSCORE', p .. 'switches', other.id) or 0)
  if first > second then return one, other end
  return other, one
end

-- yield(p, switch, winner, now): two holders have armed parts of one scope under different
-- names. The one who armed first is to be notified: its next call finds the switch replaced.
-- Until then, or if it is silent until its deadline, workers keep the promise that it has.
-- The winner's orders, too, come off by that deadline unless its holder beats.
local function yield(p, switch, winner, now)
  local key, lane = p .. 'switch:' .. switch.id, switch_lane(switch.lane)
  -- The timers of pairs that it keeps are stopped, as those of the others are set again.
  local lasts = last_fires(switch)
  redis.call('HSET', key, 'replaced_by', winner.id, 'native', lasts and 2 or 0)
  redis.call('HDEL', key, 'wants_ms', 'put_off_ms', 'failures')
  leave_ends(p, lane, switch)
  place_switch(p, read_switch(p, switch.id), now)
  local deadline = math.min(tonumber(winner.deadline_ms), ends_at(switch))
  redis.call('HSET', p .. 'switch:' .. winner.id, 'deadline_ms', deadline, 'fires_ms', 0, 'unsure', 1,
    'lasts_ms', math.max(tonumber(winner.lasts_ms or 0), lasts or 0, last_fires(winner) or 0))
  if lasts and winner.native == '0' then redis.call('HSET', p .. 'switch:' .. winner.id, 'native', 2) end
  call_to(p, place_switch(p, read_switch(p, winner.id), now))
end

-- take_field(p, scope, field, id, now): enter a switch as the owner of what may be another's.
-- A name stays with the other: two switches with one name still hold their own orders.
local function take_field(p, scope, field, id, now)
  local owner = redis.call('HGET', scope, field)
  local switch, other = read_switch(p, id), owner and owner ~= id and read_switch(p, owner)
  if not other or not is_live(other) then
    if not other or is_live(switch) then redis.call('HSET', scope, field, id) end
  elseif is_live(switch) and string.sub(field, 1, 2) ~= 'n|' then
    local winner, loser = armed_last(p, switch, other)
    redis.call('HSET', scope, field, winner.id)
    yield(p, loser, winner, now)
  end
end

-- move_switch(p, switch, home, now): have the lane `home` maintain it.
local function move_switch(p, switch, home, now)
  local from, before = switch_lane(switch.lane), p .. 'scope:' .. switch.lane
  redis.call('ZREM', p .. 'due:' .. from, switch.id)
  leave_ends(p, from, switch)
  redis.call('HSET', p .. 'switch:' .. switch.id, 'lane', home)
  switch.lane = home
  local lane = place_switch(p, switch, now)
  for _, field in ipairs(fields_of(p, switch)) do
    if redis.call('HGET', before, field) == switch.id then
      redis.call('HDEL', before, field)
      take_field(p, by_account(p, 'scope', home), field, switch.id, now)
    end
  end
  call_to(p, lane)
  reindex(p, lane, now)
end

-- rehome(p, lane, now): send on what the lane has and another now stands for.
local function rehome(p, lane, now)
  local exchange = string.match(lane, '^[^:]*')
  for _, id in ipairs(redis.call('ZRANGE', p .. 'due:' .. switch_lane(lane), 0, -1)) do
    local switch = read_switch(p, id)
    local home = switch and canon(p, exchange .. ':' .. switch.account)
    if home and home ~= lane then move_switch(p, switch, home, now) end
  end
  reindex(p, switch_lane(lane), now)
end

-- note_all(p, from, to): take over what is known of disarms.
local function note_all(p, from, to)
  local row = redis.call('HGETALL', p .. 'disarmed:' .. from)
  for i = 1, #row, 2 do note_disarm(p, to, { row[i] }, tonumber(row[i + 1])) end
end

-- gather(p, identity, now) -> its lanes; the first stands for the others.
local function gather(p, identity, now)
  local lanes = redis.call('ZRANGE', p .. 'identity:' .. identity, 0, -1)
  local changed = {}
  for _, lane in ipairs(lanes) do
    local stood = redis.call('HGET', p .. 'lane:' .. lane, 'canon')
    if stood ~= lanes[1] then
      redis.call('HSET', p .. 'lane:' .. lane, 'canon', lanes[1])
      changed[#changed + 1] = { lane, stood or lane }
    end
  end
  for _, each in ipairs(changed) do
    if each[1] ~= lanes[1] then note_all(p, each[1], lanes[1]) end
    if each[2] ~= lanes[1] then note_all(p, each[2], lanes[1]) end
    rehome(p, each[1], now)
    if each[2] ~= each[1] then rehome(p, each[2], now) end
  end
  return lanes
end

-- identify(p, lane, identity, now) -> all lanes of the account that the lane now is one of
local function identify(p, lane, identity, now)
  local key = p .. 'lane:' .. lane
  local was = redis.call('HGET', key, 'identity')
  if identity == '' then
    redis.call('HSETNX', key, 'canon', lane)
    return { lane }
  end
  if was ~= identity then
    if was then redis.call('ZREM', p .. 'identity:' .. was, lane) end
    redis.call('HSET', key, 'identity', identity)
  end
  if not redis.call('ZSCORE', p .. 'identity:' .. identity, lane) then
    redis.call('ZADD', p .. 'identity:' .. identity, now, lane)
  end
  local lanes = gather(p, identity, now)
  if was and was ~= identity then gather(p, was, now) end
  return lanes
end

-- convert(p, alias, now): take over the scopes that an older version kept by alias, of whatever
-- exchange, and have its arm fail from now on.
local function convert(p, alias, now)
  local key = p .. 'scope:' .. alias
  local row = redis.pcall('HGETALL', key)
  if row.err then return end
  redis.call('HSET', p .. 'lane:' .. alias, 'moved', 1)
  for i = 1, #row, 2 do
    local switch = read_switch(p, row[i + 1])
    local field = row[i]
    if string.sub(field, 1, 2) == 'p|' then field = string.lower(field) end
    if switch then take_field(p, by_account(p, 'scope', switch.lane), field, switch.id, now) end
  end
  redis.call('SET', key, 'kept by lane')
end
