-- terms(p, (lane, shortest_ms, budget, timer_pairs, fired_ms, one_list) * n) -> 1
-- Say, for those who arm, what the exchange's timers of accounts can be used for.
-- Keys: P lane:<lane>:switch hash, of the lane that stands for the account: shortest_ms,
-- budget, timer_pairs, fired_ms, one_list; see lib/budget.lua, lib/sharing.lua, lib/trips.lua
--- @include lib/lanes
local p = ARGV[1]
for i = 2, #ARGV, 6 do
  redis.call('HSET', p .. 'lane:' .. switch_lane(canon(p, ARGV[i])), 'shortest_ms', ARGV[i + 1],
    'budget', ARGV[i + 2], 'timer_pairs', ARGV[i + 3],
    'fired_ms', ARGV[i + 4], 'one_list', ARGV[i + 5])
end
return 1
