-- show_budgets(p, digest, keep_ms, (exchange, limit, owner, rule, max, window_ms, ban) * n) -> nothing
-- Record the rate limits of the accounts that the claimants of a digest serve, for people. To each
-- is added how many requests its window holds now, or of a ban (ban 1) the ms until which it lasts.
-- Keys: P budgets:<digest> string, a JSON list of such lists; see lib/limits
local p, now = ARGV[1], now_ms()
local rows = {}
for i = 4, #ARGV, 7 do
  local key = p .. 'limit:' .. ARGV[i + 3]
  local row = { unpack(ARGV, i, i + 6) }
  if ARGV[i + 6] == '1' then row[8] = tonumber(redis.call('GET', key) or 0)
  else row[8] = redis.call('ZCOUNT', key, now - ARGV[i + 5], '+inf') end
  rows[#rows + 1] = row
end
redis.call('SET', p .. 'budgets:' .. ARGV[2], rows[1] and cjson.encode(rows) or '[]', 'PX', ARGV[3])
