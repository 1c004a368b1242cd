-- Which switches the exchange's timers are used for.
-- Keys: P lane:<lane>:switch hash  shortest_ms, budget, timer_pairs, slow_ms, slow_until, unused_why, unused_until, hold, serial_ms; see arm.lua, lib/firings
--- @constants NEAR_SHARE SERIAL_MAX_MS SERIAL_MIN_MS SERIAL_SHARE
--- @include lib/firings
--- @include lib/sharing
--- @include lib/timer_counts

-- Renewals of one switch in a timeout, and of many that share requests; pairs in one
-- request, where no worker has registered that.
local RENEWALS, SHARED, TIMER_PAIRS = 3, 10, 50
-- Renewals in a timeout of a list that each request names as a whole.
local LISTED = 4

-- demand(p, lane, wanted, per_request, now) -> requests in 1,000 s that renew the timers of the
-- lane, with the wanted switch; and the shortest timeout. Switches whose timeouts are within an
-- eighth share requests, so that they need no more of them however many they are; not where
-- a request names one pair.
local function demand(p, lane, wanted, per_request, now)
  local counts = timer_counts(p, lane, now)
  local counted = redis.call('HGET', p .. 'switch:' .. wanted.id, 'counted')
  if counts[counted] then counts[counted] = counts[counted] - 1 end
  local own = math.ceil(#wanted.pairs / per_request)
  local all = { { wanted.timeout, own, own } } -- timeout; requests of all, and of one
  for field, count in pairs(counts) do
    local timeout, named = string.match(field, '^(%d+):(%d+)$')
    local each = math.ceil(tonumber(named) / per_request)
    if count > 0 then all[#all + 1] = { tonumber(timeout), count * each, each } end
  end
  table.sort(all, function(a, b) return a[1] < b[1] end)
  local total, first, count, most = 0, all[1][1], 0, 1
  local function add()
    local shared = per_request > 1 and SHARED * most or math.huge
    total = total + math.min(RENEWALS * count, shared) * 1000000 / first
  end
  for _, each in ipairs(all) do
    if each[1] > first * (1 + 1 / NEAR_SHARE) then
      add()
      first, count, most = each[1], 0, 1
    end
    count, most = count + each[2], math.max(most, each[3])
  end
  add()
  return total, all[1][1]
end

-- why_by_workers(p, lane, wanted, now) -> why the exchange's timer is not used for a switch:
-- 'short', 'slow', 'spent' or 'limit' and a figure; 'shared'; what a worker has found; or ''
-- wanted: id, timeout, deadline, pairs; shortest, budget: what counts where no worker has registered any
local function why_by_workers(p, lane, wanted, now)
  local timeout = wanted.timeout
  local terms = redis.call('HMGET', p .. 'lane:' .. lane, 'shortest_ms', 'budget', 'slow_ms',
    'slow_until', 'hold', 'timer_pairs', 'one_list', 'unused_why',
    'unused_until')
  local shortest = tonumber(terms[1] or wanted.shortest)
  local budget = tonumber(terms[2] or wanted.budget)
  if timeout < shortest then return 'short ' .. shortest end
  if tonumber(terms[4] or 0) > now and timeout < tonumber(terms[3]) then return 'slow ' .. terms[3] end
  if tonumber(terms[9] or 0) > now then return terms[8] end
  local count, most = firings_of(p, lane, now)
  if most > 0 and count >= most then return 'spent ' .. most end
  if not finds_room(p, lane, wanted) then return 'shared' end
  local per_request = tonumber(terms[6] or TIMER_PAIRS)
  local needed, least = demand(p, lane, wanted, per_request, now)
  if terms[7] == '1' then needed = math.min(needed, LISTED * 1000000 / least) end
  if budget > 0 and needed > budget then return 'limit ' .. math.ceil(needed) end
  if terms[5] then -- it shares the hold with jobs
    local longest = math.min(SERIAL_MAX_MS, math.max(SERIAL_MIN_MS, math.floor(least / SERIAL_SHARE)))
    redis.call('HSET', p .. 'lane:' .. lane, 'serial_ms', longest)
  end
  return ''
end
