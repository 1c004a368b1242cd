-- When pairs were last disarmed.
-- Keys: P disarmed:<lane> hash, see lib/switches
--- @include lib/lanes
--- @include lib/switches

-- Pairs of one account whose last disarm is kept.
local NOTED_MAX = 4096

-- note_disarm(p, lane, pairs, at): what was sent before `at` and is read after it arms
-- none of these pairs. An older note never replaces a newer one.
local function note_disarm(p, lane, pairs, at)
  local key = by_account(p, 'disarmed', lane)
  for _, pair in ipairs(pairs) do
    local name = string.lower(pair)
    if at > tonumber(redis.call('HGET', key, name) or 0) then redis.call('HSET', key, name, at) end
  end
  redis.call('PEXPIRE', key, KEEP_MS)
  if redis.call('HLEN', key) <= NOTED_MAX then return end
  local row, times = redis.call('HGETALL', key), {}
  for i = 2, #row, 2 do times[#times + 1] = tonumber(row[i]) end
  table.sort(times)
  local kept_from = times[math.floor(#times / 2)]
  for i = 1, #row, 2 do
    if tonumber(row[i + 1]) <= kept_from then redis.call('HDEL', key, row[i]) end
  end
end

-- last_disarm(p, lane, pairs) -> ms of the last disarm or trip of any of them, or 0. An older
-- version's disarm is noted by alias.
local function last_disarm(p, lane, pairs)
  local latest = 0
  local keys = { by_account(p, 'disarmed', lane), p .. 'disarmed:' .. string.match(lane, ':(.*)') }
  for _, key in ipairs(keys) do
    for _, pair in ipairs(pairs) do
      for _, name in ipairs({ pair, string.lower(pair) }) do
        latest = math.max(latest, tonumber(redis.call('HGET', key, name) or 0))
      end
    end
  end
  return latest
end
