-- hold(p, lane, identity, holder, lease_ms) -> 0, or the ms after which to ask again
-- Take the hold of an account for one request that is no job of the ledger, or give it up
-- (lease_ms 0). Who waits for it is next: no worker claims in the account until then, for as
-- long as it continues to ask.
-- Keys: see lib/lanes, lib/identity; P lane:<lane> guest_until, ms
--- @include lib/holds
--- @include lib/lanes
local p, lane, identity, holder, lease = unpack(ARGV, 1, 5)
-- For how long the next turn is kept, and how soon at the latest to ask again.
local GUEST_MS, LOOK_MS = 300, 50
local now = now_ms()
local home = redis.call('ZRANGE', p .. 'identity:' .. identity, 0, 0)[1] or canon(p, lane)
local key = p .. 'lane:' .. home
if tonumber(lease) == 0 then
  release(p, home, holder, now)
  reindex(p, home, now)
  return 0
end
local held = redis.call('HMGET', key, 'holder', 'held_until')
local left = tonumber(held[2] or 0) - now
if left > 0 and held[1] ~= holder then
  redis.call('HSET', key, 'guest_until', now + GUEST_MS)
  return math.min(left, LOOK_MS)
end
redis.call('HDEL', key, 'guest_until')
take_hold(p, home, holder, tonumber(lease), now)
return 0
