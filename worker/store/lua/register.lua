-- register(p, digest, keep_ms, (alias, exchange, width) * n) -> 1
-- Tell producers which accounts there are, and the scripts which lanes the
-- claimants of that digest serve and how many requests of each may be under
-- way at once (0: any, 1: one).
-- Keys: P accounts hash alias -> exchange; P lane:<lane>; P registered:<digest> set
local p, digest = ARGV[1], ARGV[2]
for i = 4, #ARGV, 3 do
  local alias, exchange, width = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local lane = exchange .. ':' .. alias
  redis.call('HSET', p .. 'accounts', alias, exchange)
  redis.call('HSET', p .. 'lane:' .. lane, 'width', width)
  redis.call('SADD', p .. 'registered:' .. digest, lane)
end
redis.call('PEXPIRE', p .. 'registered:' .. digest, ARGV[3])
return 1
