-- register(p, digest, keep_ms, (alias, exchange, width, native, bulk) * n) -> 1
-- Tell producers which accounts there are, and the scripts which lanes the
-- claimants of that digest serve and how many requests of each may be under
-- way at once (width 0: any, 1: one), and how many orders one request takes (bulk). Where the exchange holds the timers
-- (native 1), the account's countdowns go one at a time too, and take turns with
-- its other requests where those do.
-- Pending jobs that have lost their place are due again: older versions' workers took the
-- places of an account called `switch` for those of switches.
-- Keys: see lanes.lua; P accounts hash alias -> exchange; P lane:<lane>; P registered:<digest> set;
-- P servers:<lane> set of digests
local p, digest = ARGV[1], ARGV[2]
local now = now_ms()

local function restore(lane)
  local pending = p .. 'pending:' .. lane
  if redis.call('HLEN', pending) <= redis.call('ZCARD', p .. 'due:' .. lane) then return end
  for _, id in ipairs(redis.call('HVALS', pending)) do
    if redis.call('HGET', p .. 'job:' .. id, 'state') == 'pending'
      and not redis.call('ZSCORE', p .. 'due:' .. lane, id) then
      restore_job(p, lane, id, now)
    end
  end
end

for i = 4, #ARGV, 5 do
  local alias, exchange, width, native, bulk = unpack(ARGV, i, i + 4)
  local lane = exchange .. ':' .. alias
  local switches = lane .. ':switch'
  redis.call('HSET', p .. 'accounts', alias, exchange)
  redis.call('HSET', p .. 'lane:' .. lane, 'width', width, 'bulk', bulk)
  redis.call('HSET', p .. 'lane:' .. switches, 'width', native)
  if width == '1' and native == '1' then
    redis.call('HSET', p .. 'lane:' .. lane, 'sibling', switches)
    redis.call('HSET', p .. 'lane:' .. switches, 'sibling', lane, 'hold', lane)
  else
    redis.call('HDEL', p .. 'lane:' .. lane, 'sibling')
    redis.call('HDEL', p .. 'lane:' .. switches, 'sibling', 'hold')
  end
  redis.call('SADD', p .. 'registered:' .. digest, lane, switches)
  for _, other in ipairs(redis.call('SMEMBERS', p .. 'servers:' .. lane)) do
    if redis.call('EXISTS', p .. 'registered:' .. other) == 0 then
      redis.call('SREM', p .. 'servers:' .. lane, other)
    end
  end
  redis.call('SADD', p .. 'servers:' .. lane, digest)
  restore(lane)
end
redis.call('PEXPIRE', p .. 'registered:' .. digest, ARGV[3])
return 1
