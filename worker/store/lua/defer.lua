-- defer(p, message, most) -> 1, or 0 if there is no room for it
-- Keep a message for later.
-- Keys: P deferred zset message -> ms since when
local key = ARGV[1] .. 'deferred'
if redis.call('ZCARD', key) >= tonumber(ARGV[3]) then return 0 end
redis.call('ZADD', key, 'NX', now_ms(), ARGV[2])
return 1
