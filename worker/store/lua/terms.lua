-- terms(p, (lane, shortest_ms, budget, timer_pairs, fired_ms, one_list, firings_max) * n) -> 1
-- Say, for those who arm, what the exchange's timers of accounts can be used for.
-- Keys: P lane:<lane>:switch hash, of the lane that stands for the account: shortest_ms,
-- budget, timer_pairs, fired_ms, one_list, firings_max; see lib/budget.lua, lib/firings.lua, lib/sharing.lua, lib/trips.lua
--- @include lib/lanes
local p = ARGV[1]
for i = 2, #ARGV, 7 do
  redis.call('HSET', p .. 'lane:' .. switch_lane(canon(p, ARGV[i])), 'shortest_ms', ARGV[i + 1],
    'budget', ARGV[i + 2], 'timer_pairs', ARGV[i + 3],
    'fired_ms', ARGV[i + 4], 'one_list', ARGV[i + 5], 'firings_max', ARGV[i + 6])
end
return 1
