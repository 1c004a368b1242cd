-- How a switch ends for good, and gives up its orders.
-- Keys: see lib/switches
--- @include lib/ends
--- @include lib/lanes
--- @include lib/scopes
--- @include lib/switches

-- How many orders one step gives up.
local RELEASE = 2000

-- give_up(p, switch, orders): these are its orders no more; its record still names them.
local function give_up(p, switch, orders)
  local key = p .. 'switch:' .. switch.id
  disown(by_account(p, 'scope', switch.lane), order_fields(orders), switch.id)
  change('SREM', key .. ':orders', orders)
  change('SADD', key .. ':released', orders)
end

-- leave_lane(p, switch, now): no worker need serve it any more; its record is kept a while.
local function leave_lane(p, switch, now)
  local key, lane = p .. 'switch:' .. switch.id, switch_lane(switch.lane)
  redis.call('HDEL', key, 'ending')
  redis.call('ZREM', p .. 'due:' .. lane, switch.id)
  leave_ends(p, lane, switch)
  redis.call('ZREMRANGEBYSCORE', p .. 'switches', '-inf', now - KEEP_MS)
  for _, part in ipairs({ '', ':orders', ':released' }) do redis.call('PEXPIRE', key .. part, KEEP_MS) end
end

-- retire(p, switch, state, now): end a switch for good. Of very many orders it gives up a part,
-- and stays in its lane (`ending`) until this has been called often enough.
local function retire(p, switch, state, now)
  local key = p .. 'switch:' .. switch.id
  local scope = by_account(p, 'scope', switch.lane)
  redis.call('HSET', key, 'state', state)
  redis.call('ZADD', p .. 'switches', now, switch.id)
  disown(scope, pair_fields(split(switch.pairs)), switch.id)
  if switch.name then disown(scope, { 'n|' .. switch.name }, switch.id) end
  local orders, more = some_of(key .. ':orders', RELEASE)
  if more then
    give_up(p, switch, orders)
    redis.call('HSET', key, 'ending', 1)
    leave_ends(p, switch_lane(switch.lane), switch)
    redis.call('ZADD', p .. 'due:' .. switch_lane(switch.lane), 0, switch.id)
    return
  end
  disown(scope, order_fields(orders), switch.id)
  leave_lane(p, switch, now)
end
