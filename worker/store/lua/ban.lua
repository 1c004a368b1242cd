-- ban(p, ban_ms, rule * n) -> 1
-- Send nothing for that long where any of these `ban` rules counts. A ban never gets shorter.
-- Keys: P limit:<rule> string; see lib/limits
local p, now = ARGV[1], now_ms()
for i = 3, #ARGV do
  local key = p .. 'limit:' .. ARGV[i]
  local ends = math.max(now + ARGV[2], tonumber(redis.call('GET', key) or 0))
  redis.call('SET', key, ends, 'PX', ends - now + 3600000)
end
return 1
