-- Until when requests that were sent earlier may still cancel orders of a pair.
-- Keys:
--   P lane:<lane>  hash  reach|<pair>: ms until which a request of a former cancel-all, or a
--                        timer of a tripped switch, may still cancel orders of that pair;
--                        of a job without a pair, and of a switch of everything, EVERYTHING
--- @constants EVERYTHING EXECUTED_MS

-- note_reach(p, lane, pair, at): until then orders of the pair, placed from now on, may yet be
-- canceled by what was sent before.
local function note_reach(p, lane, pair, at)
  local key, field = p .. 'lane:' .. lane, 'reach|' .. (pair or EVERYTHING)
  redis.call('HSET', key, field, math.max(at, tonumber(redis.call('HGET', key, field) or 0)))
end

local LISTS = { stops = true, list = true, stops_left = true }

-- reach_of(kind, phase, claimed_ms, lease_ms) -> ms until which an attempt that was ended early may reach, if it is one of
-- a cancel-all: to the end of its lease its list may be read, its cancel be sent.
local function reach_of(kind, phase, claimed, leased)
  if kind ~= 'cancel_all' or not claimed then return nil end
  return tonumber(claimed) + tonumber(leased or 0) + (LISTS[phase or ''] and 0 or EXECUTED_MS)
end
