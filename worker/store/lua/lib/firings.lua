-- How often the exchange's timer of an account has fired today, where that is bounded.
-- Keys: P lane:<lane>:switch hash  firings_max (absent or 0: no bound), firings_day, firings
local DAY_MS = 86400000

-- firings_of(p, lane, at) -> how often it has fired on the day (UTC) of this moment; and how often it may
local function firings_of(p, lane, at)
  local found = redis.call('HMGET', p .. 'lane:' .. lane, 'firings_max', 'firings_day', 'firings')
  local same = tonumber(found[2] or -1) == math.floor(at / DAY_MS)
  return same and tonumber(found[3]) or 0, tonumber(found[1] or 0)
end

-- note_firing(p, lane, at): count that the timer fires at this moment.
local function note_firing(p, lane, at)
  local count, most = firings_of(p, lane, at)
  if most == 0 then return end
  redis.call('HSET', p .. 'lane:' .. lane, 'firings_day', math.floor(at / DAY_MS), 'firings', count + 1)
end
