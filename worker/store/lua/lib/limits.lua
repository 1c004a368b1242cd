-- How rate slots are granted.
-- Keys:
--   P limit:<rule>         zset    grant -> ms of its latest possible arrival; a grant of a
--                                  weight above 1 has more members, <grant>.1 and so on
--   P limit:<rule>         string  of a `ban` rule: ms until which nothing may be sent
--   P limit:<rule>:next    string  ms from which work that is not urgent may go:
--                                  each grant, urgent or not, moves it on by a step
--   P limit:<rule>:urgent  string  ms until which the next slot is kept for urgent
--                                  work that waits
--   P limit:<rule>:waits   string  ms until which work that is not urgent is known to wait
--   P limit:<rule>:run     string  urgent grants since then: after URGENT_GRANTS of them one
--                                  that is not urgent has its turn
--   P lost_ms              string  when Redis was found to have lost its data, or
--                                  the last of it
--   P replid               string  the replication id of the master that was last seen
--   P owed                 set     workers that must still report what they were
--                                  granted before a failover; see recall.lua
--
-- A grant is not the arrival: until `landed` reports when the exchange had it at
-- the latest, it counts as under way for up to flight ms. So whatever the jitter,
-- no window as counted at the exchange holds more than max.
--- @constants AHEAD_MS COME_BACK_MS URGENT_GRANTS

-- How soon to come back while workers must still report what they were granted, or what time it is.
local OWED_LOOK_MS = 200

-- Within what time of a failover every worker that lives has reported its grants.
local TOLD_MS = 2000

-- note_failover(p, now): see whether a replica has become the master since the last
-- look. It lacks the last that the old one received, grants among it: no slot is given
-- until each worker that lived has reported its own, or all have left the window.
-- Under a proven rule only who lives is waited for: what one that is gone was
-- granted has reached the replicas.
-- Only a promoted replica has a second id. A mere restart has none, and lost nothing.
local function note_failover(p, now)
  local info = redis.pcall('INFO', 'replication')
  local id = type(info) == 'string' and string.match(info, 'master_replid:(%x+)')
  local known = redis.call('GET', p .. 'replid')
  if not id or id == known then return end
  redis.call('SET', p .. 'replid', id)
  if not known or not string.find(info, 'master_replid2:0*[1-9a-f]') then return end
  local workers = redis.call('ZRANGE', p .. 'workers', 0, -1)
  if not workers[1] then return end
  redis.call('DEL', p .. 'owed')
  for _, worker in ipairs(workers) do redis.call('SADD', p .. 'owed', worker) end
  redis.call('PEXPIRE', p .. 'owed', 3600000)
  redis.call('SET', p .. 'lost_ms', now, 'PX', 3600000)
end

-- Keys expire by the server's own clock, which may step: they are kept for longer than
-- what they hold counts, by this.
local KEPT_MORE_MS = 3600000

-- rules_in(p, from, count) -> the rules in ARGV (rule, max, window_ms, kind, weight from `from` on)
-- A `ban` rule has no slots; the list's `banned` is the ms until which one holds off everything.
local function rules_in(p, from, count)
  local rules = { banned = 0 }
  for i = from, from + 5 * count - 5, 5 do
    local key, max, kind = p .. 'limit:' .. ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 3]
    if kind == 'ban' then rules.banned = math.max(rules.banned, tonumber(redis.call('GET', key) or 0))
    else
      rules[#rules + 1] = { key = key, max = max, window = tonumber(ARGV[i + 2]),
        paced = kind == 'paced', proven = kind == 'proven', weight = math.min(tonumber(ARGV[i + 4]), max) }
    end
  end
  return rules
end

-- take_slots(rules, member, flight, now): count a grant under every rule, as under way.
local function take_slots(rules, member, flight, now)
  for _, rule in ipairs(rules) do
    redis.call('ZADD', rule.key, now + flight, member)
    for more = 1, rule.weight - 1 do redis.call('ZADD', rule.key, now + flight, member .. '.' .. more) end
    redis.call('PEXPIRE', rule.key, rule.window + flight + KEPT_MORE_MS)
  end
end

-- reserve_slots(p, request, rules, now) -> wait_ms
-- request: member, flight (ms), urgent (boolean). Take as many slots of every rule as the
-- request weighs, or none.
-- 0: go now. Else the ms until the rule that is short may have room.
-- Under a `paced` rule what is not urgent goes at even steps and waits for
-- what is, so that urgent work never finds the window spent by a burst. A grant
-- under a `proven` one is used only once the replicas have it. What has left a window is
-- judged by when the call was made: shared time may have stepped since.
local function reserve_slots(p, request, rules, now)
  local by, flight, urgent = called_ms(), request.flight, request.urgent
  local wait = math.max(0, rules.banned - now)
  note_failover(p, now)
  local lost = tonumber(redis.call('GET', p .. 'lost_ms') or 0)
  local owed = lost > 0 and redis.call('EXISTS', p .. 'owed') == 1
  for _, rule in ipairs(rules) do
    local key, max, window, weight = rule.key, rule.max, rule.window, rule.weight
    local since = by - unseen_ms()
    redis.call('ZREMRANGEBYSCORE', key, '-inf', since - window - 1)
    local taken, turn = redis.call('ZCARD', key), false
    if rule.paced then
      turn = tonumber(redis.call('GET', key .. ':run') or 0) >= URGENT_GRANTS
        and tonumber(redis.call('GET', key .. ':waits') or 0) > now
      -- One request's slots are left to what has its turn.
      if turn and urgent then max = math.max(weight, max - weight) end
    end
    local over = taken + weight - max
    if over > 0 then
      local freed = redis.call('ZRANGE', key, over - 1, over - 1, 'WITHSCORES')
      local left = math.min(tonumber(freed[2]), now) + window + 1 - since
      wait = math.max(wait, unseen_ms() > 0 and math.min(left, OWED_LOOK_MS) or left)
    end
    -- What was granted before the loss is forgotten: let it all arrive, and leave the window.
    local hold = lost + AHEAD_MS + flight + window + 1 - by
    if owed then hold = math.min(hold, OWED_LOOK_MS) end
    if owed and rule.proven and now >= lost + TOLD_MS then hold = 0 end
    wait = math.max(wait, hold)
    if rule.paced and not urgent and not turn then
      wait = math.max(wait, math.ceil(tonumber(redis.call('GET', key .. ':next') or 0) - now))
      wait = math.max(wait, tonumber(redis.call('GET', key .. ':urgent') or 0) - now)
    end
  end
  if wait > 0 then
    for _, rule in ipairs(rules) do
      if rule.paced then
        local kept, mark = wait + COME_BACK_MS, urgent and ':urgent' or ':waits'
        redis.call('SET', rule.key .. mark, now + kept, 'PX', kept + KEPT_MORE_MS)
      end
    end
    return wait
  end
  take_slots(rules, request.member, flight, now)
  for _, rule in ipairs(rules) do
    local key = rule.key
    if rule.paced then
      local step = math.floor(rule.window * rule.weight / rule.max)
      local from = math.max(now, tonumber(redis.call('GET', key .. ':next') or 0))
      redis.call('SET', key .. ':next', from + step, 'PX', from + step - now + KEPT_MORE_MS)
      if not urgent then redis.call('DEL', key .. ':waits', key .. ':run')
      else
        redis.call('DEL', key .. ':urgent')
        if tonumber(redis.call('GET', key .. ':waits') or 0) > now then
          redis.call('INCR', key .. ':run')
          redis.call('PEXPIRE', key .. ':run', rule.window + flight + KEPT_MORE_MS)
        end
      end
    end
  end
  return 0
end
