-- The hold of an account that takes one request at a time.
-- Keys:
--   P lane:<lane>  hash  holder; held_until (ms); hold: the lane that has the hold, where
--                        several share it; sibling: the lane of switches that shares it, or
--                        the other way round; turn: 1 if this lane is claimed next
--- @include lib/lanes

-- hold_key(p, lane) -> the hash that has the lane's hold
local function hold_key(p, lane)
  return p .. 'lane:' .. (redis.call('HGET', p .. 'lane:' .. lane, 'hold') or lane)
end

-- take_hold(p, lane, holder, lease, now), hold_is(p, lane, holder, now) -> boolean
local function take_hold(p, lane, holder, lease, now)
  redis.call('HSET', hold_key(p, lane), 'holder', holder, 'held_until', now + lease)
end

local function hold_is(p, lane, holder, now)
  local held = redis.call('HMGET', hold_key(p, lane), 'holder', 'held_until')
  return held[1] == holder and tonumber(held[2]) > now
end

-- release(p, lane, holder, now): give up a hold, if it is still ours.
local function release(p, lane, holder, now)
  local key = hold_key(p, lane)
  local held = redis.call('HMGET', key, 'holder', 'joined')
  if held[1] ~= holder then return end
  redis.call('HDEL', key, 'holder', 'held_until')
  local sibling = redis.call('HGET', p .. 'lane:' .. lane, 'sibling')
  local function wake(other, at)
    if is_switch_lane(lane) then redis.call('HSET', p .. 'lane:' .. other, 'turn', 1) end
    reindex(p, other, at)
  end
  if sibling then wake(sibling, now) end
  -- Other aliases of the account go before this one: they have waited.
  for other in string.gmatch(held[2] or '', '%S+') do
    if other ~= lane and other ~= sibling then wake(other, now - 1) end
  end
end
