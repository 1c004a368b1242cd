-- want_pairs(p, lane) -> now
-- Ask workers for a list of pairs that is newer than this call.
-- Keys: see pairs.lua
local p, lane = ARGV[1], ARGV[2]
local at = redis.pcall('HGET', p .. 'lane:' .. lane, 'listed')
if type(at) == 'string' then redis.pcall('HSET', p .. 'listed:' .. at, '!wanted', now_ms()) end
return now_ms()
