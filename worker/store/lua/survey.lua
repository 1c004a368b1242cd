-- survey(p, lane) -> now, (id, epoch, state, timeout_ms, deadline_ms, fires_ms, due, pairs) * n
-- Every switch of a lane whose timer the exchange holds, but those put off after a
-- failure; pairs that a later switch has taken over are left out, those without
-- any left too.
-- Keys: see switches.lua
local p, lane = ARGV[1], ARGV[2]
local now = now_ms()
local answer = { now }
for _, id in ipairs(redis.call('ZRANGE', p .. 'due:' .. lane, 0, -1)) do
  local switch = read_switch(p, id)
  if switch then
    local mine = {}
    for _, pair in ipairs(split(switch.pairs)) do
      if redis.call('HGET', p .. 'scope:' .. switch.account, 'p|' .. pair) == id then
        mine[#mine + 1] = pair
      end
    end
    if #mine == 0 then
      retire(p, switch, switch.state, now)
    elseif sync_from(switch, now) <= now then
      for _, value in ipairs({ id, switch.epoch, switch.state, switch.timeout_ms,
        switch.deadline_ms, switch.fires_ms or '0', needs_sync(switch) and 1 or 0,
        table.concat(mine, ',') }) do
        answer[#answer + 1] = value
      end
    end
  end
end
return answer
