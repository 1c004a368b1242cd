-- Shared by the scripts that grant rate slots.
--   P limit:<rule>         zset    grant -> ms of its latest possible arrival
--   P limit:<rule>:next    string  ms from which work that is not urgent may go:
--                                  each grant, urgent or not, moves it on by a step
--   P limit:<rule>:urgent  string  ms until which the next slot is kept for urgent
--                                  work that waits
--   P lost_ms              string  when Redis was found to have lost its data
--
-- A grant is not the arrival: until `landed` tells when the exchange had it at
-- the latest, it counts as under way for up to flight ms. So whatever the jitter,
-- no window as counted at the exchange holds more than max.

-- How late urgent work may come for the slot it has waited for: a sweep, and the way.
local COME_BACK_MS = 250

-- reserve_slots(p, member, flight, urgent, now, from, rules) -> wait_ms
-- Take one slot of every rule in ARGV (rule, max, window_ms, paced from `from`
-- on), or none. 0: go now. Else the ms until the rule that is short may have
-- room. Under a paced rule what is not urgent goes at even steps and stands back
-- for what is, so that urgent work never finds the window spent by a burst.
local function reserve_slots(p, member, flight, urgent, now, from, rules)
  local wait = 0
  local lost = tonumber(redis.call('GET', p .. 'lost_ms') or 0)
  for i = from, from + 4 * rules - 4, 4 do
    local key, max, window = p .. 'limit:' .. ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window - 1)
    local taken = redis.call('ZCARD', key)
    if taken >= max then
      local freed = redis.call('ZRANGE', key, taken - max, taken - max, 'WITHSCORES')
      wait = math.max(wait, math.min(tonumber(freed[2]), now) + window + 1 - now)
    end
    -- What was granted before the loss is forgotten: let it all arrive, and leave the window.
    wait = math.max(wait, lost + flight + window + 1 - now)
    if ARGV[i + 3] == '1' and not urgent then
      wait = math.max(wait, math.ceil(tonumber(redis.call('GET', key .. ':next') or 0) - now))
      wait = math.max(wait, tonumber(redis.call('GET', key .. ':urgent') or 0) - now)
    end
  end
  if wait > 0 then
    for i = from, from + 4 * rules - 4, 4 do
      if urgent and ARGV[i + 3] == '1' then
        local kept = wait + COME_BACK_MS
        redis.call('SET', p .. 'limit:' .. ARGV[i] .. ':urgent', now + kept, 'PX', kept + 1000)
      end
    end
    return wait
  end
  for i = from, from + 4 * rules - 4, 4 do
    local key = p .. 'limit:' .. ARGV[i]
    redis.call('ZADD', key, now + flight, member)
    redis.call('PEXPIRE', key, ARGV[i + 2] + flight + 1000)
    if ARGV[i + 3] == '1' then
      local step = math.floor(ARGV[i + 2] / ARGV[i + 1])
      local from = math.max(now, tonumber(redis.call('GET', key .. ':next') or 0))
      redis.call('SET', key .. ':next', from + step, 'PX', from + step - now + 1000)
      if urgent then redis.call('DEL', key .. ':urgent') end
    end
  end
  return 0
end
