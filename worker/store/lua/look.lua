-- look(p, most, (rule, window_ms) * n) -> JSON
-- Read how everything stands, for monitors and people; nothing is changed. At most
-- `most` lanes, switches of a lane, and ended switches are looked at, and of many lanes
-- fewer switches each, so that Redis is not held up.
-- Who may not read P vain learns nothing of attempts in vain.
-- Keys: see lib/lanes, lib/jobs, lib/switches, lib/limits; P accounts, P workers, P dead,
-- P ticked, P beat
--- @constants LAG_SHARE PRESENCE_MS
--- @include lib/lanes
local p, most = ARGV[1], tonumber(ARGV[2])
local now = now_ms()
-- How many that are said to be attempted in vain are looked at: an older version's
-- workers end jobs and leave them said to be so.
local VAIN = 5
-- How long an armed switch may be without a timer in time.
local UNTIMED_MS = 10000
-- How many switches of all lanes are looked at, at most; but of each lane some.
local SWITCHES_MAX, SOME = 5000, 10
-- How many named switches are told apart, at most.
local NAMED_MAX = 100

local lanes, order = {}, {}
local function lane_of(name)
  if not lanes[name] and #order < most then
    lanes[name] = { lane = name, pending = 0, due = 0, armed = 0, untimed = 0,
      disarmed = 0, tripped = 0 }
    order[#order + 1] = lanes[name]
  end
  return lanes[name]
end

local accounts = redis.call('HGETALL', p .. 'accounts')
for i = 1, #accounts, 2 do
  for exchange in string.gmatch(accounts[i + 1], '[^,]+') do lane_of(exchange .. ':' .. accounts[i]) end
end
for _, name in ipairs(redis.call('ZRANGE', p .. 'lanes', 0, most)) do
  if is_switch_lane(name) then name = string.match(name, '^(.*):') end
  lane_of(name)
end

local function look_at_jobs(row)
  local key = p .. 'due:' .. row.lane
  row.pending = redis.call('ZCARD', key)
  row.due = redis.call('ZCOUNT', key, '-inf', now)
  local first = redis.call('ZRANGEBYSCORE', key, '-inf', now, 'WITHSCORES', 'LIMIT', 0, 1)
  row.oldest_ms = now - tonumber(first[2] or now)
  local vain = redis.pcall('ZRANGE', p .. 'vain:' .. row.lane, 0, VAIN - 1, 'WITHSCORES')
  if vain.err then return end
  row.vain_ms = 0
  for i = 1, #vain, 2 do
    if redis.call('ZSCORE', key, vain[i]) then
      row.vain_ms = now - tonumber(vain[i + 1])
      break
    end
  end
end

-- untimed(switch...) -> whether the exchange should keep its timer, and has had none in time
-- for too long: a renewal may wait for as long again as it took to be due.
local function untimed(native, timeout, deadline, fires, wants)
  local behind, longest = tonumber(deadline) - tonumber(fires or 0), tonumber(timeout) / LAG_SHARE
  if native ~= '1' or not wants or (behind >= 0 and behind < longest) then return false end
  if behind < 0 or not fires or fires == '0' then longest = math.min(longest, UNTIMED_MS) end
  return now - tonumber(wants) > longest
end

local named = 0
local function look_at_switches(row)
  local key = p .. 'due:' .. row.lane .. ':switch'
  local share = math.max(SOME, math.floor(SWITCHES_MAX / #order))
  for _, id in ipairs(redis.call('ZRANGE', key, 0, math.min(most, share) - 1)) do
    local switch = redis.call('HMGET', p .. 'switch:' .. id, 'state', 'native', 'timeout_ms',
      'deadline_ms', 'fires_ms', 'wants_ms', 'name')
    if switch[1] == 'disarmed' then
      row.disarmed = row.disarmed + 1
    elseif switch[1] == 'armed' then
      row.armed = row.armed + 1
      if untimed(unpack(switch, 2, 6)) then row.untimed = row.untimed + 1 end
      local left = tonumber(switch[4]) - now
      row.left_ms = math.min(row.left_ms or left, left)
      local ratio = left / tonumber(switch[3])
      row.left_ratio = math.min(row.left_ratio or ratio, ratio)
      if switch[7] and named < NAMED_MAX then
        named = named + 1
        row.named = row.named or {}
        row.named[switch[7]] = left
      end
    end
  end
end

for _, row in ipairs(order) do
  look_at_jobs(row)
  look_at_switches(row)
end
for _, id in ipairs(redis.call('ZREVRANGE', p .. 'switches', 0, most - 1)) do
  local switch = redis.call('HMGET', p .. 'switch:' .. id, 'state', 'lane')
  local row = switch[1] == 'tripped' and lane_of(switch[2])
  if row then row.tripped = row.tripped + 1 end
end

local used = {}
for i = 3, #ARGV, 2 do
  used[#used + 1] = redis.call('ZCOUNT', p .. 'limit:' .. ARGV[i], now - ARGV[i + 1], '+inf')
end

local ticked = redis.call('GET', p .. 'ticked')
return cjson.encode({
  now_ms = now,
  lanes = order,
  used = used,
  dead = redis.call('ZCARD', p .. 'dead'),
  workers = redis.call('ZCOUNT', p .. 'workers', now - PRESENCE_MS, '+inf'),
  beats = redis.call('EXISTS', p .. 'beat'),
  tick_ago_ms = ticked and now - tonumber(ticked) or nil,
})
