-- judge_timer(p, lane, why, keep_ms) -> how many switches workers hold from now on
-- Whether the exchange keeps a timer for an account: with a why, workers hold its switches from now
-- on, and for keep_ms what is armed; with '' such a finding is forgotten.
-- Keys: see lib/switches; P lane:<lane>:switch hash  unused_why, unused_until
--- @include lib/lanes
--- @include lib/renewals
--- @include lib/switches
local p, lane, why = ARGV[1], switch_lane(canon(ARGV[1], ARGV[2])), ARGV[3]
local now, count, key = now_ms(), 0, p .. 'lane:' .. lane
if why == '' then
  redis.call('HDEL', key, 'unused_why', 'unused_until')
  return 0
end
redis.call('HSET', key, 'unused_why', why, 'unused_until', now + tonumber(ARGV[4]))
for _, id in ipairs(redis.call('ZRANGE', p .. 'ends:' .. lane, 0, LOOK_MAX - 1)) do
  local switch = read_switch(p, id)
  if switch and switch.state == 'armed' and switch.native == '1' then
    switch.native = (switch.unsure or tonumber(switch.fires_ms or 0) > 0) and '2' or '0'
    redis.call('HSET', p .. 'switch:' .. id, 'native', switch.native, 'held_why', why)
    place_switch(p, switch, now)
    count = count + 1
  end
end
reindex(p, lane, now)
return count
