-- register(p, digest, keep_ms, (alias, exchange, width, native, bulk, identity, nonce) * n)
--   -> (lane, alias) * m
-- Show producers which accounts there are, and the scripts which lanes the claimants of that
-- digest serve, how many requests of each may be under way at once (width 0: any, 1: one),
-- and how many orders one request takes (bulk). Where the exchange holds the timers
-- (native 1), the account's countdowns go one at a time too, and take turns with
-- its other requests where those do. Accounts are one where their identity is (a digest of
-- exchange and key; '' if not known), whatever their aliases; see lib/identity. nonce: the key id
-- of an account that needs nonces and shares its key with no other, else ''; see lib/nonces. The answer
-- names the lanes to serve, each with the alias of the caller's that it belongs to; and ''
-- with an alias that living claimants have for another key.
-- The strictest width that a living claimant asks for counts. What could not be done
-- beside another version, or may be loosened later, is tried again: see heartbeat.lua.
-- Pending jobs that have lost their place are due again: older versions' workers took the
-- places of an account called `switch` for those of switches.
-- Keys: see lib/lanes, lib/identity; P accounts hash alias -> exchange, or several with commas; P lane:<lane>;
-- P registered:<digest> set; P servers:<lane> set of digests; P serving
--- @constants PRESENCE_MS
--- @include lib/accepting
--- @include lib/access
--- @include lib/identity
--- @include lib/lanes
local p, digest, keep = ARGV[1], ARGV[2], ARGV[3]
local now = now_ms()
local own = p .. 'registered:' .. digest
local again = false

redis.call('DEL', own)
redis.call('SADD', own, MARK_FORMAT)
local living, older = { [digest] = true }, false
for _, other in ipairs(redis.call('ZRANGEBYSCORE', p .. 'serving', now - PRESENCE_MS, '+inf')) do
  living[other] = true
  if other ~= '' and redis.call('SISMEMBER', p .. 'registered:' .. other, MARK_FORMAT) == 0 then
    older = true
  end
end

local function restore(lane)
  local pending = p .. 'pending:' .. lane
  if redis.call('HLEN', pending) <= redis.call('ZCARD', p .. 'due:' .. lane) then return end
  for _, id in ipairs(redis.call('HVALS', pending)) do
    if redis.call('HGET', p .. 'job:' .. id, 'state') == 'pending'
      and not redis.call('ZSCORE', p .. 'due:' .. lane, id) then
      restore_job(p, lane, id, now)
    end
  end
end

-- exchanges_of(alias, exchange) -> it, and others where living workers have that alias too
local function exchanges_of(alias, exchange)
  local names = { exchange }
  for name in string.gmatch(redis.call('HGET', p .. 'accounts', alias) or '', '[^,]+') do
    local served = false
    for _, other in ipairs(redis.call('SMEMBERS', p .. 'servers:' .. name .. ':' .. alias)) do
      served = served or (living[other] and other ~= digest)
      -- One that is down registers again when it is back.
      if name ~= exchange and not living[other] and redis.call('EXISTS', p .. 'registered:' .. other) == 1 then
        redis.call('SADD', p .. 'registered:' .. other, MARK_AGAIN)
      end
    end
    if served and name ~= exchange then names[#names + 1] = name end
  end
  table.sort(names)
  return table.concat(names, ',')
end

-- width_of(lanes, wanted) -> the strictest width that a living claimant of any of them wants
local function width_of(lanes, wanted)
  local width = wanted
  for _, lane in ipairs(lanes) do
    for _, other in ipairs(redis.call('SMEMBERS', p .. 'servers:' .. lane)) do
      local asked = redis.call('HGET', p .. 'lane:' .. lane, 'width:' .. other)
      if redis.call('EXISTS', p .. 'registered:' .. other) == 0 then
        redis.call('SREM', p .. 'servers:' .. lane, other)
        redis.call('HDEL', p .. 'lane:' .. lane, 'width:' .. other, 'key:' .. other, 'nonce:' .. other)
      elseif asked == '1' and not living[other] then
        redis.call('SADD', p .. 'registered:' .. other, MARK_AGAIN) -- in case it comes back
      else
        -- An older version's claimant says only what it wants as the last.
        asked = asked or redis.call('HGET', p .. 'lane:' .. lane, 'width')
        if asked == '1' and living[other] then width = '1' end
      end
    end
  end
  return width
end

-- arrange(lanes, width, native, bulk): who shares a hold, and takes turns with whom. The
-- first stands for all of them.
local function arrange(lanes, width, native, bulk)
  local first, shared = lanes[1], lanes[2] and table.concat(lanes, ' ')
  local switches = switch_lane(first)
  for _, lane in ipairs(lanes) do
    local key = p .. 'lane:' .. lane
    redis.call('HSET', key, 'width', width, 'bulk', bulk)
    redis.call('HSET', p .. 'lane:' .. switch_lane(lane), 'width', native)
    redis.call('HDEL', key, 'sibling', 'hold', 'joined')
    redis.call('HDEL', p .. 'lane:' .. switch_lane(lane), 'sibling', 'hold')
    if width == '1' and native == '1' then redis.call('HSET', key, 'sibling', switches) end
    if width == '1' and lane ~= first then redis.call('HSET', key, 'hold', first) end
  end
  if width == '1' and native == '1' then
    redis.call('HSET', p .. 'lane:' .. switches, 'sibling', first, 'hold', first)
  end
  if shared then redis.call('HSET', p .. 'lane:' .. first, 'joined', shared) end
end

-- contested(lane, identity) -> whether a living claimant has that lane for another account
local function contested(lane, identity)
  for _, other in ipairs(redis.call('SMEMBERS', p .. 'servers:' .. lane)) do
    local named = living[other] and redis.call('HGET', p .. 'lane:' .. lane, 'key:' .. other)
    if named and named ~= identity then return true end
  end
  return false
end

local answer = {}
for i = 4, #ARGV, 7 do
  local alias, exchange, width, native, bulk, identity, nonce = unpack(ARGV, i, i + 6)
  local lane = exchange .. ':' .. alias
  redis.call('HSET', p .. 'accounts', alias, exchanges_of(alias, exchange))
  redis.call('HSET', p .. 'lane:' .. lane, 'width:' .. digest, width, 'key:' .. digest, identity)
  if nonce ~= '' and not older then redis.call('HSET', p .. 'lane:' .. lane, 'nonce:' .. digest, nonce)
  else redis.call('HDEL', p .. 'lane:' .. lane, 'nonce:' .. digest) end
  if contested(lane, identity) then
    answer[#answer + 1] = ''
    answer[#answer + 1] = alias
  end
  redis.call('SADD', p .. 'servers:' .. lane, digest)
  local lanes = { lane }
  if older then
    again = true
  else
    convert(p, alias, now)
    lanes = identify(p, lane, identity, now)
  end
  for _, each in ipairs(lanes) do
    for _, other in ipairs(redis.call('SMEMBERS', p .. 'servers:' .. each)) do
      if lanes[2] and other ~= digest
        and redis.call('SISMEMBER', p .. 'registered:' .. other, each) == 1
        and redis.call('SISMEMBER', p .. 'registered:' .. other, lane) == 0 then
        redis.call('SADD', p .. 'registered:' .. other, MARK_AGAIN)
      end
    end
    redis.call('SADD', p .. 'servers:' .. each, digest)
    redis.call('SADD', own, each, switch_lane(each))
    answer[#answer + 1] = each
    answer[#answer + 1] = alias
    restore(each)
    probe_now(p, each, now)
  end
  local strictest = width_of(lanes, width)
  if strictest ~= width then again = true end
  arrange(lanes, strictest, native, bulk)
end
if again then redis.call('SADD', own, MARK_AGAIN) end
redis.call('PEXPIRE', own, keep)
return answer
