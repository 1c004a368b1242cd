-- next_tripped(p, again_ms) -> switch id or ''
-- A tripped switch that is to be reported now. Until `told` takes it off
-- the list it comes back after again_ms: the worker that was to report it may have died.
-- Keys: P tripped zset switch -> ms
local p, again = ARGV[1], tonumber(ARGV[2])
local now = now_ms()
local id = redis.call('ZRANGEBYSCORE', p .. 'tripped', '-inf', now, 'LIMIT', 0, 1)[1]
if not id then return '' end
redis.call('ZADD', p .. 'tripped', now + again, id)
return id
