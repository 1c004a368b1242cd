-- The slots of a granted request.
-- Keys: P limit:<rule> zset grant -> ms of its latest possible arrival; see lib/limits

-- note_arrival(p, grant, arrived, rules, now): the request was answered, so it has arrived by
-- now; or no byte of it left, and its slots are free again. A rule under which the request has
-- a weight above 1 is given as <rule>|<weight>.
local function note_arrival(p, grant, arrived, rules, now)
  for _, given in ipairs(rules) do
    local rule, weight = string.match(given, '^(.*)|(%d+)$')
    local key = p .. 'limit:' .. (rule or given)
    for more = 0, tonumber(weight or 1) - 1 do
      local member = more == 0 and grant or grant .. '.' .. more
      if arrived then redis.call('ZADD', key, 'XX', now, member) else redis.call('ZREM', key, member) end
    end
  end
end
