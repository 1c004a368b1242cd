-- survey(p, lane, holder, every)
--   -> now, (id, epoch, state, yielded, timeout_ms, deadline_ms, fires_ms, due, pairs,
--       outlives, unsure) * n
-- The switches of a lane whose timer is to be moved, and those whose deadlines are so
-- near that they may share a request with them; so many as one look takes in, and
-- one request names. What workers hold, and whose timer is not stopped yet, is `yielded`
-- (1, else 0). Not those put off after a failure, nor pairs that a later switch has taken
-- over, nor what has no pairs left. outlives 1: a timer may fire after the deadline. With every
-- 1 all of them, also what is not due or was put off: where one request overwrites all timers.
-- A holder, if it still is, holds the lane for HOLD_MS from here, until it has leave to send.
-- Keys: see lib/switches
--- @constants LEFT_SHARE NEAR_SHARE
--- @include lib/holds
--- @include lib/lanes
--- @include lib/renewals
--- @include lib/retire
--- @include lib/switches
local HOLD_MS = 1000
-- How many neighbors are looked at for a request to share, about as many as it names.
local NEAR_MAX = 50
local p, lane, holder, every = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'
local now = now_ms()
if holder ~= '' and hold_is(p, lane, holder, now) then take_hold(p, lane, holder, HOLD_MS, now) end
local answer, seen = { now }, {}
local from, till = math.huge, 0
local scope = by_account(p, 'scope', string.match(lane, '^(.*):'))

local function look(id)
  local switch = not seen[id] and read_switch(p, id)
  seen[id] = true
  if switch and switch.state ~= 'tripped' then
    local mine = {}
    for _, pair in ipairs(split(switch.pairs)) do
      if redis.call('HGET', scope, pair_field(pair)) == id then
        mine[#mine + 1] = pair
      end
    end
    if #mine == 0 and switch.replaced_by and is_live(switch) then
      switch.native = '0'
      redis.call('HSET', p .. 'switch:' .. id, 'native', '0')
      place_switch(p, switch, now)
    elseif #mine == 0 then
      retire(p, switch, switch.state, now)
    elseif switch.native ~= '0' and (every or sync_from(switch, now) <= now) then
      for _, value in ipairs({ id, switch.epoch, switch.state, switch.native == '2' and 1 or 0,
        switch.timeout_ms, switch.deadline_ms, switch.fires_ms or '0', (needs_sync(switch) and sync_from(switch, now) <= now) and 1 or 0,
        table.concat(mine, ','),
        (last_fires(switch) or 0) > tonumber(switch.deadline_ms) and 1 or 0, switch.unsure and 1 or 0 }) do
        answer[#answer + 1] = value
      end
      local deadline, timeout = tonumber(switch.deadline_ms), tonumber(switch.timeout_ms)
      from, till = math.min(from, deadline - timeout / LEFT_SHARE), math.max(till, deadline + timeout / NEAR_SHARE)
    end
  end
end

if every then
  for _, index in ipairs({ 'ends:', 'due:' }) do
    for _, id in ipairs(redis.call('ZRANGE', p .. index .. lane, 0, LOOK_MAX - 1)) do look(id) end
  end
  return answer
end
for _, id in ipairs(due_switches(p, lane, now)) do look(id) end
if till > 0 then
  local near = redis.call('ZRANGEBYSCORE', p .. 'ends:' .. lane, from, till, 'LIMIT', 0, NEAR_MAX)
  for _, id in ipairs(near) do look(id) end
end
return answer
