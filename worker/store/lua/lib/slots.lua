-- The slots of a granted request.
-- Keys: P limit:<rule> zset grant -> ms of its latest possible arrival

-- note_arrival(p, grant, arrived, rules, now): the request was answered, so it has arrived by
-- now; or no byte of it left, and its slots are free again.
local function note_arrival(p, grant, arrived, rules, now)
  for _, rule in ipairs(rules) do
    local key = p .. 'limit:' .. rule
    if arrived then redis.call('ZADD', key, 'XX', now, grant) else redis.call('ZREM', key, grant) end
  end
end
