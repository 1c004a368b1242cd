-- From when the switches of a lane count as tripped.
-- Keys:
--   P ends:<lane>:switch          zset  armed switch whose timer the exchange holds -> ms from which
--                                       it counts as tripped
--   P ends:<lane>:switch:workers  zset  likewise, one that workers hold, or that waits to be armed.
--                                       An older version's scripts do not keep it: it may miss some
--                                       and have some that have ended
-- One that has tripped and has orders left is in both, from 0.
--- @include lib/timer_counts

-- end_indexes(p, lane) -> their keys
local function end_indexes(p, lane)
  local ends = p .. 'ends:' .. lane
  return { ends, ends .. ':workers' }
end

-- enter_ends(p, lane, switch, at): it counts as tripped from `at`.
local function enter_ends(p, lane, switch, at)
  local timers, workers = unpack(end_indexes(p, lane))
  if switch.state == 'tripped' then
    for _, index in ipairs({ timers, workers }) do redis.call('ZADD', index, 0, switch.id) end
    recount(p, lane, switch, NONE)
  elseif switch.state == 'armed' and switch.native ~= '0' then
    redis.call('ZADD', timers, at, switch.id)
    redis.call('ZREM', workers, switch.id)
    recount(p, lane, switch, counts_as(switch.native, switch.state, tonumber(switch.timeout_ms), switch.pairs))
  else
    redis.call('ZADD', workers, at, switch.id)
    redis.call('ZREM', timers, switch.id)
    recount(p, lane, switch, nil)
  end
end

-- leave_ends(p, lane, switch): it does not trip any more.
local function leave_ends(p, lane, switch)
  for _, index in ipairs(end_indexes(p, lane)) do redis.call('ZREM', index, switch.id) end
  recount(p, lane, switch, nil)
end
