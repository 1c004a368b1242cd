-- The slots of a granted request.
-- Keys: P limit:<rule> zset grant -> ms of its latest possible arrival; see lib/limits

-- note_arrival(p, grant, arrived, rules, now): the request was answered, so it has arrived by
-- now; or no byte of it left, and its slots are free again. A rule under which the request has
-- a weight above 1 is given as <rule>|<weight>; one of which the reply says what is left as
-- <rule>|<weight>|<max>|<window_ms>|<left>|<frees_ms>.
--- @constants OTHERS_SHARE

-- note_left(key, grant, max, window, left, frees, now): the exchange would take only `left` more
-- requests. What it counts and we do not is another program's: it takes slots here until the
-- exchange gives them back, after frees ms. Never fewer slots are taken than before.
local function note_left(key, grant, max, window, left, frees, now)
  local others = max - redis.call('ZCOUNT', key, now - window, '+inf') - left
  if others <= math.max(1, math.floor(max / OTHERS_SHARE)) then return end
  local at, members = now - window + frees, {}
  for n = 1, others do
    members[#members + 1], members[#members + 2] = at, grant .. '.o' .. n
    if #members == 1000 or n == others then
      redis.call('ZADD', key, unpack(members))
      members = {}
    end
  end
end

local function note_arrival(p, grant, arrived, rules, now)
  for _, given in ipairs(rules) do
    local rule, weight, max, window, left, frees =
      string.match(given, '^(.*)|(%d+)|(%d+)|(%d+)|(%d+)|(%d+)$')
    if not rule then rule, weight = string.match(given, '^(.*)|(%d+)$') end
    local key = p .. 'limit:' .. (rule or given)
    for more = 0, tonumber(weight or 1) - 1 do
      local member = more == 0 and grant or grant .. '.' .. more
      if arrived then redis.call('ZADD', key, 'XX', now, member) else redis.call('ZREM', key, member) end
    end
    if arrived and left then
      note_left(key, grant, tonumber(max), tonumber(window), tonumber(left), tonumber(frees), now)
    end
  end
end

-- note_arrivals(p, arrived, now): the same of many, as JSON: a list of { grant, arrived, rules }.
local function note_arrivals(p, arrived, now)
  for _, known in ipairs(cjson.decode(arrived)) do
    note_arrival(p, known.grant, known.arrived, known.rules, now)
  end
end
