-- Shared by the scripts that move jobs. A lane is one account's queue:
-- "<exchange>:<account>". P is the key prefix.
--   P lanes        zset  lane -> ms at which somebody must next look at it
--   P due:<lane>   zset  job id -> ms at which it is due (a claim moves it on)
--   P urgent:<lane> zset the same of urgent jobs that are not doubtful; see turns.lua
--   P named:<lane> list  ids of single jobs, which go ahead of those due before them where
--                        no bell says so; the next one is the last
--   P lane:<lane>  hash  width (0: any, 1: one request at a time), bulk (orders that
--                        go in one request, if more than 1), held_until,
--                        holder, not_before (ms); hold: the lane that has the
--                        hold, where several share it; sibling: the lane of switches
--                        that shares it, or the other way round; joined: all lanes of the
--                        account; width:<digest>, what each claimant wants; key:<digest>,
--                        for which account it has the lane;
--                        serial_ms, of switches: longest lease of a job that shares the hold;
--                reach|<pair>: ms until which a request of a former cancel-all, or a
--                timer of a tripped switch, may yet cancel orders of that pair
-- Beside it "<lane>:switch" holds the account's switches; see switches.lua.
--   P astray       zset  "<lane> <id>" of what was due there without a record -> ms from
--                        which a person is to be alerted; inf once that is done
--   P job:<id>     hash  the job; see ledger.py
--   P vain:<lane>  zset  job that has been attempted without a proof -> ms of its first attempt
--   P pending:<lane> hash  dedup field -> job id
--   P pairs:<lane> set   pairs that a list of the account has shown
--   P registered:<digest> set  lanes that the claimant's settings serve

local MAX_VERSION = 1
-- What else there is, is a newer version's, and left to its workers.
local KINDS = { cancel = true, cancel_all = true }
-- Leases of urgent jobs: short at first, so that a worker's death costs little.
local URGENT_LEASE_MS = 1800
-- Defined in tending.lua.
local tend
-- How long after its connection was closed a request that has arrived may be carried out.
local EXECUTED_MS = 3000
-- Bytes of a job's history before its middle is left out: what an outage of hours makes of
-- many jobs would fill Redis. And how much of its begin and of its end stays then.
local HISTORY_MAX, HISTORY_HEAD, HISTORY_TAIL = 4096, 1024, 2048
local LEFT_OUT = '{"detail":"attempts in between are left out"}\n'

-- is_switch_lane(lane) -> whether it is one of switches. Neither exchange nor account holds a
-- ':', so no account is called like one; as in names.py.
local function is_switch_lane(lane)
  return string.find(lane, '^[^:]+:[^:]+:switch$') ~= nil
end

-- order_field(kind, pair, side, order_id) -> what the order is called in
-- P pending:<lane>. The id comes last: it alone may hold a '|'.
local function order_field(kind, pair, side, order_id)
  return kind .. '|' .. pair .. '|' .. side .. '|' .. order_id
end

-- note_reach(p, lane, pair, at): until then orders of the pair, placed from now on, may yet be
-- canceled by what was sent before.
local function note_reach(p, lane, pair, at)
  local key, field = p .. 'lane:' .. lane, 'reach|' .. pair
  redis.call('HSET', key, field, math.max(at, tonumber(redis.call('HGET', key, field) or 0)))
end

-- reach_of(kind, pair, phase, claimed_ms, lease_ms) -> ms until which an attempt that was ended early may reach, if it is one of
-- a cancel-all of a pair: to the end of its lease its list may be read, its cancel be sent.
local function reach_of(kind, pair, phase, claimed, leased)
  if kind ~= 'cancel_all' or not pair or not claimed then return nil end
  return tonumber(claimed) + tonumber(leased or 0) + (phase == 'list' and 0 or EXECUTED_MS)
end

-- canon(p, lane) -> the lane that stands for its account; see identity.lua
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

-- reindex(p, lane, now, ready): put the lane where its first job, its hold and its
-- pause allow. Never before now, so that due lanes are served in turns. ready: as from
-- lane_ready, if that is known.
local function reindex(p, lane, now, ready)
  local first = redis.call('ZRANGE', p .. 'due:' .. lane, 0, 0, 'WITHSCORES')
  if not first[1] then
    redis.call('ZREM', p .. 'lanes', lane)
    return
  end
  ready = ready or lane_ready(p, lane, now)
  redis.call('ZADD', p .. 'lanes', math.max(ready, tonumber(first[2])), lane)
end

-- hold_key(p, lane) -> the hash that has the lane's hold
local function hold_key(p, lane)
  return p .. 'lane:' .. (redis.call('HGET', p .. 'lane:' .. lane, 'hold') or lane)
end

-- take_hold(p, lane, holder, lease, now), hold_is(p, lane, holder, now) -> boolean
local function take_hold(p, lane, holder, lease, now)
  redis.call('HSET', hold_key(p, lane), 'holder', holder, 'held_until', now + lease)
end

local function hold_is(p, lane, holder, now)
  local held = redis.call('HMGET', hold_key(p, lane), 'holder', 'held_until')
  return held[1] == holder and tonumber(held[2]) > now
end

-- release(p, lane, holder, now): give up a hold, if it is still ours.
local function release(p, lane, holder, now)
  local key = hold_key(p, lane)
  local held = redis.call('HMGET', key, 'holder', 'joined')
  if held[1] ~= holder then return end
  redis.call('HDEL', key, 'holder', 'held_until')
  local sibling = redis.call('HGET', p .. 'lane:' .. lane, 'sibling')
  local function wake(other, at)
    if is_switch_lane(lane) then redis.call('HSET', p .. 'lane:' .. other, 'turn', 1) end
    reindex(p, other, at)
  end
  if sibling then wake(sibling, now) end
  -- Other aliases of the account go before this one: they have waited.
  for other in string.gmatch(held[2] or '', '%S+') do
    if other ~= lane and other ~= sibling then wake(other, now - 1) end
  end
end

-- place_job(p, lane, id, at, urgent, doubtful), drop_job(p, lane, id, urgent): when somebody
-- must look at it; of which class it is says turns.lua.
local function place_job(p, lane, id, at, urgent, doubtful)
  redis.call('ZADD', p .. 'due:' .. lane, at, id)
  if doubtful then redis.call('ZADD', p .. 'doubtful:' .. lane, at, id)
  elseif urgent then redis.call('ZADD', p .. 'urgent:' .. lane, at, id) end
end

local function drop_job(p, lane, id, urgent)
  redis.call('ZREM', p .. 'due:' .. lane, id)
  redis.call('ZREM', p .. 'vain:' .. lane, id)
  redis.call('ZREM', p .. 'doubtful:' .. lane, id)
  if urgent then redis.call('ZREM', p .. 'urgent:' .. lane, id) end
end

-- set_aside(p, lane, id, now): what is due without a record is moved out of the way, and kept.
local function set_aside(p, lane, id, now)
  for _, index in ipairs({ 'due:', 'urgent:', 'doubtful:', 'vain:', 'ends:', 'asked:' }) do
    redis.call('ZREM', p .. index .. lane, id)
  end
  redis.call('ZADD', p .. 'astray', now, lane .. ' ' .. id)
end

-- Where so many messages wait, workers are awake, or none lives.
local ENOUGH = 32

-- ring(p, queue, bell): wake a worker.
local function ring(p, queue, bell)
  if redis.call('LLEN', p .. queue) < ENOUGH then redis.call('LPUSH', p .. queue, bell) end
end

-- name_job(p, lane, id) -> whether it could be named: who claims in the lane comes to it
-- next. Not by users whose rights are of a version that had no names.
local function name_job(p, lane, id)
  return type(redis.pcall('LPUSH', p .. 'named:' .. lane, id)) == 'number'
end

-- noted(history, line) -> the history with one more line, each ended by a line feed
local function noted(history, line)
  history = (history or '') .. line .. '\n'
  if #history <= HISTORY_MAX then return history end
  local cut = string.find(history, LEFT_OUT, 1, true)
  local head = cut and string.sub(history, 1, cut - 1)
    or string.match(string.sub(history, 1, HISTORY_HEAD), '^.*\n') or ''
  local tail = string.match(string.sub(history, -HISTORY_TAIL), '^[^\n]*\n(.*)$') or ''
  return head .. LEFT_OUT .. tail
end

-- unclaim(p, lane, id, attempts, due, urgent, single, doubtful): nothing was attempted. The job is
-- due as it was before its claim, which counts for nothing; a single one is the next.
local function unclaim(p, lane, id, attempts, due, urgent, single, doubtful)
  local key, made = p .. 'job:' .. id, tonumber(attempts) - 1
  redis.call('HDEL', key, 'claimed_by', 'claimed_ms', made == 0 and 'first_ms' or 'claimed_by')
  redis.call('HSET', key, 'attempts', made)
  place_job(p, lane, id, due, urgent, doubtful)
  if single and not doubtful then redis.call('RPUSH', p .. 'named:' .. lane, id) end
end
