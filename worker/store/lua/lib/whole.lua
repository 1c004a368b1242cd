-- Switches of a whole account: each stands alone.
-- Keys: P scope:<lane>, see lib/switches
--- @constants EVERYTHING
--- @include lib/switches
--- @include lib/trips

-- live_one(p, id, now) -> the switch of that id if its deadline counts. Trips what has run out.
local function live_one(p, id, now)
  local switch = id and read_switch(p, id)
  if not switch or not is_live(switch) then return nil end
  if not has_ended(switch, now) then return switch end
  trip(p, switch, now)
  return nil
end

-- beside_whole(p, scope, whole, mine (set of ids), now) -> a switch beside which the one to be armed may not
-- stand: one of the whole account; or, for one of the whole account, any other; or nil
local function beside_whole(p, scope, whole, mine, now)
  if not whole then
    local id = redis.call('HGET', scope, pair_field(EVERYTHING))
    return not (id and mine[id]) and live_one(p, id, now) or nil
  end
  local row = redis.call('HGETALL', scope)
  for i = 2, #row, 2 do
    local id = row[i]
    if not mine[id] then
      mine[id] = true
      local other = live_one(p, id, now)
      if other then return other end
    end
  end
  return nil
end
