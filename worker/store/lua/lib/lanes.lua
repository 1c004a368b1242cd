-- The place of a lane in the index of due lanes. A lane is one account's queue:
-- "<exchange>:<account>". Beside it "<lane>:switch" holds the account's switches; see
-- lib/switches. P is the key prefix.
-- Keys:
--   P lanes        zset  lane -> ms at which a worker must next serve it
--   P due:<lane>   zset  id -> ms at which it is due
--   P lane:<lane>  hash  width (0: any, 1: one request at a time), bulk (orders that
--                        go in one request, if more than 1), not_before (ms),
--                        held_until, holder, hold and sibling: see lib/holds;
--                        guest_until: see hold.lua; canon, joined: see lib/identity;
--                        width:<digest>, what each claimant wants; key:<digest>,
--                        for which account it has the lane;
--                        back: ms by which a worker that runs jobs of it asks for more, and
--                        backer: which;
--                        serial_ms, of switches: longest lease of a job that shares the hold;
--                        reach|<pair>: see lib/reach
--   P registered:<digest> set  lanes that the claimant's settings serve

-- is_switch_lane(lane) -> whether it is one of switches. Neither exchange nor account holds a
-- ':', so no account is called like one; as in names.py.
local function is_switch_lane(lane)
  return string.find(lane, '^[^:]+:[^:]+:switch$') ~= nil
end

local function switch_lane(lane) return lane .. ':switch' end

-- canon(p, lane) -> the lane that stands for its account; see lib/identity
local function canon(p, lane) return redis.call('HGET', p .. 'lane:' .. lane, 'canon') or lane end

-- by_account(p, name, lane) -> the key of that name that the lane's account has. Until the
-- lane has been registered where no older version's worker lives, it is kept by alias.
local function by_account(p, name, lane)
  local stands = redis.call('HGET', p .. 'lane:' .. lane, 'canon')
  if stands then return p .. name .. ':' .. stands end
  local alias = string.match(lane, ':(.*)') or lane
  if redis.call('HEXISTS', p .. 'lane:' .. alias, 'moved') == 1 then return p .. name .. ':' .. lane end
  return p .. name .. ':' .. alias
end

-- ready_of(p, meta, now), lane_ready(p, lane, now) -> ms from which the lane may be claimed;
-- serial; bulk. meta: the values of its hash that lane_ready reads, in this order.
local function ready_of(p, meta, now)
  local ready = tonumber(meta[3] or 0)
  local held, guest = meta[2], meta[6]
  if meta[4] then
    held, guest = unpack(redis.call('HMGET', p .. 'lane:' .. meta[4], 'held_until', 'guest_until'))
  end
  if meta[1] == '1' then ready = math.max(ready, tonumber(held or 0), tonumber(guest or 0)) end
  return math.max(ready, now), meta[1] == '1', tonumber(meta[5] or 1)
end

local function lane_ready(p, lane, now)
  return ready_of(p, redis.call('HMGET', p .. 'lane:' .. lane, 'width', 'held_until', 'not_before',
    'hold', 'bulk', 'guest_until'), now)
end

-- first_end(p, lane) -> ms from which a switch that workers hold counts as tripped; see lib/ends
local function first_end(p, lane)
  local row = redis.call('ZRANGE', p .. 'ends:' .. lane .. ':workers', 0, 0, 'WITHSCORES')
  return tonumber(row[2] or math.huge)
end

-- reindex(p, lane, now, ready): put the lane where its first job, its hold and its
-- pause allow; neither delays what workers hold. Never before now, so that due lanes are
-- served in turns. ready: as from lane_ready, if that is known.
local function reindex(p, lane, now, ready)
  local first = redis.call('ZRANGE', p .. 'due:' .. lane, 0, 0, 'WITHSCORES')
  if not first[1] then
    redis.call('ZREM', p .. 'lanes', lane)
    return
  end
  ready = ready or lane_ready(p, lane, now)
  if ready > now and is_switch_lane(lane) then ready = math.min(ready, math.max(now, first_end(p, lane))) end
  redis.call('ZADD', p .. 'lanes', math.max(ready, tonumber(first[2])), lane)
end
