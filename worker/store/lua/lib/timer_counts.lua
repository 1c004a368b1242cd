-- The switches of a lane whose timers the exchange holds, counted by what renewing them takes.
-- Keys: see lib/switches, and
--   P ends:<lane>:switch:counts hash  '<timeout>:<pairs>' -> how many members of P ends:<lane>:switch
--                               are renewed that often and have so many pairs; 'none' -> how many
--                               are not renewed; '@' -> ms since when this is counted
-- lib/ends keeps them. An older version's scripts do not: if the sum is not the number of members,
-- or it was counted long ago, all are counted again; not very often, as each is read.
--- @include lib/switches

local COUNTED_MS, AGAIN_MS = 3600000, 5000
-- Switches whose timers are not renewed, and since when the others are counted.
local NONE, SINCE = 'none', '@'

local function counts_key(p, lane) return p .. 'ends:' .. lane .. ':counts' end

-- counts_as(native, state, timeout, pairs) -> the field that counts such a switch. Of a timeout
-- three digits count, so that there are few fields: it is up to 1 % longer than it seems.
local function counts_as(native, state, timeout, pairs)
  if native ~= '1' or state ~= 'armed' then return NONE end
  local unit = 10 ^ math.max(0, #tostring(timeout) - 3)
  return string.format('%d:%d', math.floor(timeout / unit) * unit, #split(pairs))
end

-- recount(p, lane, switch, counted): count it as this, or nil for not at all.
local function recount(p, lane, switch, counted)
  if switch.counted == counted then return end
  local key, row = counts_key(p, lane), p .. 'switch:' .. switch.id
  if switch.counted and redis.call('HINCRBY', key, switch.counted, -1) <= 0 then
    redis.call('HDEL', key, switch.counted)
  end
  if counted then
    redis.call('HINCRBY', key, counted, 1)
    redis.call('HSET', row, 'counted', counted)
  else
    redis.call('HDEL', row, 'counted')
  end
  switch.counted = counted
end

-- read_counts(key) -> the counts, as a table
local function read_counts(key)
  local row, counts = redis.call('HGETALL', key), {}
  for i = 1, #row, 2 do counts[row[i]] = tonumber(row[i + 1]) end
  return counts
end

-- count_all(p, lane, now) -> the counts, as a table, after counting each switch.
local function count_all(p, lane, now)
  local key, counts = counts_key(p, lane), { [SINCE] = now }
  redis.call('HSET', key, SINCE, now) -- first, as a full Redis refuses this, but no HDEL
  for field in pairs(read_counts(key)) do
    if field ~= SINCE then redis.call('HDEL', key, field) end
  end
  for _, id in ipairs(redis.call('ZRANGE', p .. 'ends:' .. lane, 0, -1)) do
    local row = redis.call('HMGET', p .. 'switch:' .. id, 'native', 'state', 'timeout_ms', 'pairs', 'counted')
    local counted = counts_as(row[1], row[2], tonumber(row[3]), row[4])
    counts[counted] = (counts[counted] or 0) + 1
    if row[1] and row[5] ~= counted then redis.call('HSET', p .. 'switch:' .. id, 'counted', counted) end
  end
  for field, count in pairs(counts) do redis.call('HSET', key, field, count) end
  return counts
end

-- timer_counts(p, lane, now) -> table: '<timeout>:<pairs>' -> how many switches
local function timer_counts(p, lane, now)
  local counts, sum = read_counts(counts_key(p, lane)), 0
  local age = now - (counts[SINCE] or 0)
  counts[SINCE] = nil
  for _, count in pairs(counts) do sum = sum + count end
  local wrong = sum ~= redis.call('ZCARD', p .. 'ends:' .. lane)
  if age > COUNTED_MS or (wrong and age > AGAIN_MS) then counts = count_all(p, lane, now) end
  counts[SINCE], counts[NONE] = nil, nil
  return counts
end
