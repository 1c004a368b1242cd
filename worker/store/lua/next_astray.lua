-- next_astray(p, again_ms, most) -> "<lane> <id>" * n
-- What was found without a record and of which a person is to be alerted now. It comes back
-- after again_ms unless the caller marks it as reported: that worker may have died.
-- Keys: P astray; see lib/lanes
local p, again, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local now = now_ms()
local found = redis.call('ZRANGEBYSCORE', p .. 'astray', '-inf', now, 'LIMIT', 0, most)
for _, each in ipairs(found) do redis.call('ZADD', p .. 'astray', now + again, each) end
return found
