-- terms(p, (lane, shortest_ms, budget, timer_pairs) * n) -> 1
-- Say, for those who arm, what the exchange's timers of accounts can be used for.
-- Keys: P lane:<lane>:switch hash, of the lane that stands for the account: shortest_ms,
-- budget, timer_pairs; see lib/budget.lua
--- @include lib/lanes
local p = ARGV[1]
for i = 2, #ARGV, 4 do
  redis.call('HSET', p .. 'lane:' .. switch_lane(canon(p, ARGV[i])), 'shortest_ms', ARGV[i + 1],
    'budget', ARGV[i + 2], 'timer_pairs', ARGV[i + 3])
end
return 1
