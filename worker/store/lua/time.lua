-- time(p) -> now, offset_ms, when a worker last gave a sign of life (ms; 0 for never)
-- Shared time, for a caller that must measure it.
-- Keys: P workers zset worker -> ms of its last sign
local seen = redis.pcall('ZRANGE', ARGV[1] .. 'workers', -1, -1, 'WITHSCORES')
return { now_ms(), offset_ms(), math.floor(tonumber(not seen.err and seen[2] or 0)) }
