-- Shared by the scripts that move switches; comes after lanes.lua.
--   P switch:<id>         hash  v id account lane pairs timeout_ms deadline_ms epoch
--                               state (armed, tripped, disarmed; waiting: to be armed
--                               once its pairs are clear)
--                               native (1: the exchange holds the timer; 0: workers hold
--                               the deadline; 2: they do, once the timer is stopped)
--                               held_why (why workers: short, limit or slow, and a figure)
--                               way_ms     what was taken off the timer for the way
--                               lasts_ms   when its timers fire at the latest
--                               created_ms beat_ms armed_with (order ids at first)
--                               fires_ms   when the exchange's timer is known to
--                                          fire, at the earliest; 0 for no timer
--                               synced_ms  when that was last confirmed
--                               unsure     a request for it was let go, and its end
--                                          is not known
--                               put_off_ms after failures, when the exchange is
--                                          to be asked again; failures so far
--                               wants_ms   since when its timer is not where it should be
--                               sent_ms    when its last plain message was sent, by that
--                                          sender's clock
--                               replaced_by the switch of who has armed a part of its
--                                          scope since, under another alias
--                               ending     it has ended, and gives up its orders in parts
--   P switch:<id>:orders  set   tracked order ids; of one that has ended with very many, those
--                               that have no cancel yet, or are its own still
--   P switch:<id>:released set  the others of these
--   P scope:<lane>        hash  'p|<pair in lower case>' or 'o|<order id>' -> switch id; <lane> stands for the
--                               account, see identity.lua
--   P disarmed:<lane>     hash  pair -> ms of its last disarm or trip, by its sender's clock;
--                               kept for KEEP_MS, for the NOTED_MAX pairs noted last
--   P lane:<lane>:switch  hash  beside what lanes.lua has: called, since it was last
--                               claimed; quiet_until (ms), till when nobody but
--                               the holder quiet_but may send
--   P switches            zset  switch id -> ms of its last change of state
--   P due:<lane>:switch   zset  switch id -> ms at which it must be looked at; less than
--                               any ms where the exchange is to be brought in line at once
--   P ends:<lane>:switch  zset  armed switch whose timer the exchange holds -> ms from
--                               which it counts as tripped
--   P tripped             zset  tripped switch -> ms from which somebody is to be told

local KEEP_MS = 86400000
-- How many switches one look takes in, lest it keep Redis to itself.
local LOOK_MAX = 200
-- How many orders and pairs one step accepts cancels of, lest it keep Redis to itself.
local PART = 250
-- How many orders one step gives up.
local RELEASE = 2000
-- How many neighbors are looked at for a request to share, about as many as it names.
local NEAR_MAX = 50
-- How long the list of a scope is expected to take; how often a waiting switch is looked at.
local LISTS_MS, WAITING_LOOK_MS = 500, 200
-- How long the exchange takes to cancel orders once its timer fires.
local FIRED_MS = 200
-- How far ahead of ours a sender's clock is believed to be.
local AHEAD_MAX_MS = 60000
-- Pairs of one account whose last disarm is kept.
local NOTED_MAX = 4096

local function switch_lane(lane) return lane .. ':switch' end

-- split(text) -> list of what commas part
local function split(text)
  local parts = {}
  for part in string.gmatch(text or '', '[^,]+') do parts[#parts + 1] = part end
  return parts
end

-- read_switch(p, id) -> table of its fields, or nil
local function read_switch(p, id)
  local row = redis.call('HGETALL', p .. 'switch:' .. id)
  if not row[1] then return nil end
  local switch = {}
  for i = 1, #row, 2 do switch[row[i]] = row[i + 1] end
  return switch
end

-- ends_at(switch) -> ms from which the switch counts as tripped: its deadline,
-- or sooner if the exchange's own timer has fired by then.
local function ends_at(switch)
  local deadline, fires = tonumber(switch.deadline_ms), tonumber(switch.fires_ms or 0)
  if fires > 0 then return math.min(deadline, fires) end
  return deadline
end

-- is_live(switch) -> whether its deadline counts
local function is_live(switch) return switch.state == 'armed' or switch.state == 'waiting' end

-- last_fires(switch) -> ms at which a timer that the exchange may hold fires at the latest; or nil
local function last_fires(switch)
  local fires = tonumber(switch.fires_ms or 0)
  if switch.native == '0' or (fires == 0 and not switch.unsure) then return nil end
  return math.max(fires, tonumber(switch.deadline_ms), tonumber(switch.lasts_ms or 0))
end

-- pair_field(pair) -> what a scope calls it. Case does not tell pairs apart: who arms one
-- in two spellings means one.
local function pair_field(pair) return 'p|' .. string.lower(pair) end

-- owner_of(p, scope, pair) -> the switch that holds it, also as older versions spelled it
local function owner_of(p, scope, pair)
  local field = pair_field(pair)
  return redis.call('HGET', scope, field) or redis.call('HGET', scope, (string.gsub(field, '_', '')))
    or redis.call('HGET', scope, 'p|' .. pair)
end

-- same_pairs(one, other) -> whether two lists, parted by commas, name the same pairs
local function same_pairs(one, other)
  local function plain(text)
    local list = split(string.lower((string.gsub(text, '_', ''))))
    table.sort(list)
    return table.concat(list, ',')
  end
  return one == other or plain(one) == plain(other)
end

-- has_ended(switch, now) -> whether its deadline has passed. Not by the shared time of now
-- alone, which may have stepped a moment ago, but also by the caller's knowledge of it.
local ENDED_APART_MS = 500
local function has_ended(switch, now)
  local ends = ends_at(switch)
  local sure = now - math.max(doubt_ms(), unseen_ms())
  return sure >= ends and called_ms() + ENDED_APART_MS >= ends
end

-- fields_of(p, switch) -> the fields of its scope
local function fields_of(p, switch)
  local fields = {}
  for _, pair in ipairs(split(switch.pairs)) do fields[#fields + 1] = pair_field(pair) end
  for _, order in ipairs(redis.call('SMEMBERS', p .. 'switch:' .. switch.id .. ':orders')) do
    fields[#fields + 1] = 'o|' .. order
  end
  return fields
end

-- pair_fields(pairs) -> list of what a scope calls them
local function pair_fields(pairs)
  local fields = {}
  for i, pair in ipairs(pairs) do fields[i] = pair_field(pair) end
  return fields
end

-- give_up(p, switch, orders): these are its orders no more; its record still names them.
local function give_up(p, switch, orders)
  local key = p .. 'switch:' .. switch.id
  disown(by_account(p, 'scope', switch.lane), order_fields(orders), switch.id)
  change('SREM', key .. ':orders', orders)
  change('SADD', key .. ':released', orders)
end

-- leave_lane(p, switch, now): nobody need look at it any more; its record is kept a while.
local function leave_lane(p, switch, now)
  local key, lane = p .. 'switch:' .. switch.id, switch_lane(switch.lane)
  redis.call('HDEL', key, 'ending')
  redis.call('ZREM', p .. 'due:' .. lane, switch.id)
  redis.call('ZREM', p .. 'ends:' .. lane, switch.id)
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
  local orders, more = some_of(key .. ':orders', RELEASE)
  if more then
    give_up(p, switch, orders)
    redis.call('HSET', key, 'ending', 1)
    redis.call('ZREM', p .. 'ends:' .. switch_lane(switch.lane), switch.id)
    redis.call('ZADD', p .. 'due:' .. switch_lane(switch.lane), 0, switch.id)
    return
  end
  disown(scope, order_fields(orders), switch.id)
  leave_lane(p, switch, now)
end

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

-- last_word(switch) -> ms of its last beat or message: what was sent before is stale.
local function last_word(switch)
  return math.max(tonumber(switch.beat_ms), tonumber(switch.sent_ms or 0))
end

-- clearing_in(p, lane, pairs, now) -> pair, ms, job id, its last detail; nil if they are clear
-- What a former life has sent, or will send, may yet cancel what is placed from now on: a tripped
-- switch's cancel-all that has not had its first complete list, a request whose reply
-- never came, the exchange's own timer. ms: how long that is expected to last.
local function clearing_in(p, lane, pairs, now)
  if not pairs[1] then return nil end
  local names, reaches = {}, {}
  for i, pair in ipairs(pairs) do
    names[i], reaches[i] = order_field('cancel_all', pair, '', ''), 'reach|' .. pair
  end
  local jobs = redis.call('HMGET', p .. 'pending:' .. lane, unpack(names))
  local ends = redis.call('HMGET', p .. 'lane:' .. lane, unpack(reaches))
  for i, pair in ipairs(pairs) do
    local id = jobs[i]
    if id then
      local job = redis.call('HMGET', p .. 'job:' .. id, 'state', 'urgent', 'phase', 'streak',
        'missing', 'claimed_by', 'detail')
      local known = job[3] == 'list' and (tonumber(job[4] or 1) <= 0 or job[5] == '1')
      if job[1] == 'pending' and job[2] and not known then
        local due = tonumber(redis.call('ZSCORE', p .. 'due:' .. lane, id) or now)
        local wait = math.max(0, job[6] and 0 or due - now) + LISTS_MS
        return pair, math.max(wait, tonumber(ends[i] or 0) - now), id, job[7] or ''
      end
    end
    local reach = tonumber(ends[i] or 0)
    if reach > now then return pair, reach - now, '', '' end
    if ends[i] then redis.call('HDEL', p .. 'lane:' .. lane, 'reach|' .. pair) end
  end
  return nil
end

-- clearing(p, lane, pairs, now) -> the same, of all lanes of the lane's account
local function clearing(p, lane, pairs, now)
  local first = canon(p, lane)
  for each in string.gmatch(redis.call('HGET', p .. 'lane:' .. first, 'joined') or first, '%S+') do
    local pair, wait, job, detail = clearing_in(p, each, pairs, now)
    if pair then return pair, wait, job, detail end
  end
  return nil
end

-- accept_cancels(p, switch, now, orders, pairs): each is named by what it cancels: after a
-- failover that has forgotten this, another trip names it the same.
local function accept_cancels(p, switch, now, orders, pairs)
  local stem = switch.id .. '.' .. switch.epoch .. '.'
  local function accept(kind, order_id, pair)
    local id = stem .. string.sub(redis.sha1hex(order_field(kind, pair, '', order_id)), 1, 16)
    accept_job(p, now, id, switch.lane, kind, order_id, pair, '', switch.id, true)
  end
  for _, order in ipairs(orders) do accept('cancel', order, '') end
  for _, pair in ipairs(pairs) do accept('cancel_all', '', pair) end
  redis.call('ZADD', p .. 'lanes', 'LT', (lane_ready(p, switch.lane, now)), switch.lane)
end

-- go_on(p, switch, now, room): accept cancels of orders of a tripped switch that have none yet,
-- as many as there is room for; with the last of them it leaves its lane.
local function go_on(p, switch, now, room)
  local key = p .. 'switch:' .. switch.id
  local orders, more = some_of(key .. ':orders', math.max(room.left, 1))
  room.left = room.left - #orders
  accept_cancels(p, switch, now, orders, {})
  if more then
    give_up(p, switch, orders)
  else
    disown(by_account(p, 'scope', switch.lane), order_fields(orders), switch.id)
    leave_lane(p, switch, now)
  end
end

-- trip(p, switch, now, room): the deadline has passed. In the same step the cancels
-- of its scope are accepted as jobs, so that nothing can come in between. Where there are more
-- orders than one step may accept (room.left, PART if not said), the switch stays in the indexes
-- of its lane until `go_on` has accepted the last of them.
local function trip(p, switch, now, room)
  work_on() -- whatever script met it
  room = room or { left = PART }
  local key, lane, pairs = p .. 'switch:' .. switch.id, switch_lane(switch.lane), split(switch.pairs)
  redis.call('HSET', key, 'state', 'tripped', 'tripped_ms', now)
  redis.call('ZADD', p .. 'switches', now, switch.id)
  redis.call('ZADD', p .. 'tripped', now, switch.id)
  disown(by_account(p, 'scope', switch.lane), pair_fields(pairs), switch.id)
  note_disarm(p, switch.lane, pairs, last_word(switch))
  local last = last_fires(switch)
  if last then
    for _, pair in ipairs(pairs) do note_reach(p, switch.lane, pair, last + FIRED_MS) end
  end
  accept_cancels(p, switch, now, {}, pairs)
  -- In both, so that an older version's workers go on with it too.
  redis.call('ZADD', p .. 'due:' .. lane, 0, switch.id)
  redis.call('ZADD', p .. 'ends:' .. lane, 0, switch.id)
  redis.call('HDEL', p .. 'lane:' .. lane, 'not_before')
  redis.call('ZADD', p .. 'lanes', 'LT', (lane_ready(p, lane, now)), lane)
  room.left = room.left - #pairs - 1
  go_on(p, switch, now, room)
end
