-- Whether a switch finds room in the one timer that an account has, with one list of pairs.
-- Keys: P lane:<lane>:switch hash  one_list (1: the account has one timer), timer_pairs
--- @constants LAG_SHARE NEAR_SHARE
--- @include lib/switches

-- Pairs in the list, where no worker has registered that; switches that are looked at, each
-- of which has a pair in the list.
local LIST_PAIRS, SHARING_MAX = 50, 200

-- finds_room(p, lane, wanted) -> whether one timer can serve a switch and those that it serves:
-- the list takes all pairs, the timeouts are alike, and no deadline is a quarter of a timeout
-- before another. wanted: id, timeout, deadline, pairs (list).
local function finds_room(p, lane, wanted)
  local terms = redis.call('HMGET', p .. 'lane:' .. lane, 'one_list', 'timer_pairs')
  if terms[1] ~= '1' then return true end
  local count = #wanted.pairs
  for _, other in ipairs(redis.call('ZRANGE', p .. 'ends:' .. lane, 0, SHARING_MAX - 1)) do
    local switch = redis.call('HMGET', p .. 'switch:' .. other, 'timeout_ms', 'deadline_ms', 'pairs', 'native', 'state')
    if other ~= wanted.id and switch[4] == '1' and switch[5] == 'armed' then
      local timeout, apart = tonumber(switch[1]), math.abs(tonumber(switch[2]) - wanted.deadline)
      local short, long = math.min(timeout, wanted.timeout), math.max(timeout, wanted.timeout)
      if long > short * (1 + 1 / NEAR_SHARE) or apart >= short / LAG_SHARE then return false end
      count = count + #split(switch[3])
    end
  end
  return count <= tonumber(terms[2] or LIST_PAIRS)
end
