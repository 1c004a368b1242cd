-- first(p) -> now, offset_ms, ms at which the first lane must be looked at or ''
-- What an idle worker asks over and over.
-- Keys: P lanes zset
local first = redis.call('ZRANGE', ARGV[1] .. 'lanes', 0, 0, 'WITHSCORES')
return { now_ms(), offset_ms(), first[2] or '' }
