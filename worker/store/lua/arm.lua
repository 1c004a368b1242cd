-- arm(p, id, lane, account, native, timeout_ms, mode, sent_ms, queue, bell, shortest_ms, budget,
--     by_workers, partly, name, replace, order_pair, stops, n, pair * n, order_id * m)
--   -> 'armed', id, epoch, deadline_ms, native, why | 'overlap', id, its scope, its name if that is
--      why | 'stale', ''
--      | 'clearing', pair, ms, job id, its last detail | 'waiting', and as for 'armed'
-- Arm a scope. The same scope armed before (a restarted strategy) is that switch
-- with a later epoch, which ends the earlier holder's beats; with mode 'touch'
-- the epoch stays and the deadline moves. The deadline counts from when this was
-- called; with sent_ms from there, and a message older than the last beat or message,
-- than the last disarm or trip of one of its pairs, or than its own timeout, is stale:
-- it moves nothing. With mode 'again',
-- for what may have come before and says not when it was sent, a deadline that
-- state is never moved on, and nothing is armed where something was disarmed.
-- What otherwise
-- shares a pair or an order with another armed switch is refused. Nor is anything armed while
-- a former life may yet cancel what is placed from now on (see `clearing`): with mode 'arm'
-- nothing changes; else, as no error reaches who sent it, the switch waits, its
-- deadline running, and is armed once its pairs are clear.
-- A name, or '' for none, is one live switch of the account. Where another scope has it, this is
-- refused; with replace '1' that switch ends in the same step, replaced by this one, and no order
-- of both scopes is without a switch in between.
-- Where the exchange has timers (native 1) one is set if it can be kept: from shortest_ms on,
-- and within the budget of requests in 1,000 s, both by what the account's workers have
-- registered, if any has. Else workers hold the deadline (native 0), as `why` says; by_workers is
-- a reason that the caller knows, or ''. partly: why workers hold a part of the scope all the same.
-- The pair EVERYTHING is the whole account: no other switch of it may be armed beside that one.
-- order_pair, stops: see lib/switches; the last who arms says whether stop orders stay.
-- Keys: see lib/switches; P <queue> list, the broker's; P lane:<lane>:switch has shortest_ms, budget,
-- and slow_ms until slow_until
--- @constants EVERYTHING TRACK_MAX
--- @include lib/bells
--- @include lib/budget
--- @include lib/clearing
--- @include lib/disarms
--- @include lib/endings
--- @include lib/lanes
--- @include lib/renewals
--- @include lib/scopes
--- @include lib/switch_names
--- @include lib/switches
--- @include lib/trips
--- @include lib/whole
local p, id, lane, account, native = unpack(ARGV, 1, 5)
local timeout, mode, sent = tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])
local queue, bell, by_workers, partly, n = ARGV[9], ARGV[10], ARGV[13], ARGV[14], tonumber(ARGV[19])
local name, replace, order_pair, stops = ARGV[15], ARGV[16] == '1', ARGV[17], ARGV[18]
local now = now_ms()
local scope = by_account(p, 'scope', lane)
local pair_list, order_list, fields = {}, {}, {}
for i = 20, 19 + n do
  pair_list[#pair_list + 1] = ARGV[i]
  fields[#fields + 1] = pair_field(ARGV[i])
end
for i = 20 + n, #ARGV do
  order_list[#order_list + 1] = ARGV[i]
  fields[#fields + 1] = 'o|' .. ARGV[i]
end
local pairs_text, orders_text = table.concat(pair_list, ','), table.concat(order_list, ',')

local former = name ~= '' and named_switch(p, lane, name) -- of another scope, if it is not `same`
if former and has_ended(former, now) then
  trip(p, former, now)
  former = nil
end
local same, running
local inherited = 0 -- when a timer that was another's fires at the latest
local seen = {} -- each owner is looked at once, however many fields it has
for i, owner in ipairs(owners_of(scope, fields)) do
  owner = owner or (i <= n and owner_of(p, scope, pair_list[i]))
  local switch = owner and not seen[owner] and read_switch(p, owner)
  if owner then seen[owner] = true end
  if switch and is_live(switch) and has_ended(switch, now) then
    trip(p, switch, now)
  elseif switch and switch.state ~= 'tripped' then
    local fires = last_fires(switch)
    running = running or fires ~= nil
    local with = switch.armed_with or ''
    local named = with == orders_text
    -- Not read needlessly where they are very many, if this user may ask.
    local size = redis.pcall('SCARD', p .. 'switch:' .. owner .. ':orders')
    if size == #order_list or type(size) ~= 'number' then
      local tracked = redis.call('SMEMBERS', p .. 'switch:' .. owner .. ':orders')
      table.sort(tracked)
      named = named or table.concat(tracked, ',') == orders_text
    end
    -- An older version's callers named all at once, where now the first are.
    named = named or (#order_list >= TRACK_MAX
      and string.sub(with, 1, #orders_text + 1) == orders_text .. ',')
    if same_pairs(switch.pairs, pairs_text) and named then
      same = switch
    elseif is_live(switch) and not (replace and former and former.id == owner) then
      if sent > 0 and sent < last_word(switch) then return { 'stale', '' } end
      return { 'overlap', owner, switch.pairs .. ' ' .. (switch.armed_with or '') }
    else
      inherited = math.max(inherited, fires or 0)
    end
  end
end

if former and same and former.id == same.id then former = nil end
if former and not replace then
  return { 'overlap', former.id, former.pairs .. ' ' .. (former.armed_with or ''), name }
end
if not same or not is_live(same) then
  local mine = {}
  if same then mine[same.id] = true end
  if former then mine[former.id] = true end
  local other = beside_whole(p, scope, pair_list[1] == EVERYTHING, mine, now)
  if other and sent > 0 and sent < last_word(other) then return { 'stale', '' } end
  if other then return { 'overlap', other.id, other.pairs .. ' ' .. (other.armed_with or '') } end
end

-- Never later than from the call: the sender's clock may be ahead, and Redis late.
local called = called_ms()
local from = sent > 0 and math.min(sent, called) or called
local stale = sent > 0 and (from + timeout <= now or (same and sent < last_word(same))
  or sent < last_disarm(p, lane, pair_list))
local deadline = from + timeout
if mode == 'again' then
  if same and is_live(same) then
    deadline = math.min(deadline, tonumber(same.deadline_ms))
  else
    stale = stale or last_disarm(p, lane, pair_list) > 0
  end
end
if stale then return { 'stale', '' } end
-- What takes over or moves an armed switch is no new work; nor a message that lies in Redis.
if mode ~= 'arm' or (same and is_live(same)) or former then work_on() end
local state = 'armed'
if mode == 'arm' or not same or same.state ~= 'armed' then
  local pair, wait, job, detail = clearing(p, lane, pair_list, now)
  if pair and mode == 'arm' then return { 'clearing', pair, wait, job, detail } end
  if pair then state = 'waiting' end
end
local epoch = 1
if same then
  id = same.id
  epoch = tonumber(same.epoch)
  if mode == 'arm' or not is_live(same) then epoch = epoch + 1 end
end
if former then
  end_switch(p, former, now, queue, bell, now)
  redis.call('HSET', p .. 'switch:' .. former.id, 'replaced_by', id)
end
local why = ''
if native == '1' and same and same.timeout_ms == ARGV[6] and mode ~= 'arm' and is_live(same) then
  native, why = same.native, same.held_why or ''
elseif native == '1' then
  why = by_workers ~= '' and by_workers or why_by_workers(p, switch_lane(canon(p, lane)), { id = id, timeout = timeout, deadline = deadline,
    pairs = pair_list, shortest = ARGV[11], budget = ARGV[12] }, now)
  if why ~= '' then native = running and '2' or '0' else why = partly end
end
local key = p .. 'switch:' .. id
redis.call('HSET', key, 'held_why', why, 'v', 1, 'id', id, 'account', account, 'lane', canon(p, lane), 'native', native,
  'pairs', pairs_text, 'armed_with', orders_text, 'timeout_ms', timeout,
  'deadline_ms', deadline, 'epoch', epoch, 'state', state, 'beat_ms', from)
-- Of a timer that was to be stopped, and may have been, or has fired, nothing is known.
if same and same.state == 'disarmed' and (same.unsure or tonumber(same.fires_ms or 0) <= now) then
  redis.call('HSET', key, 'fires_ms', 0)
end
if inherited > 0 and native ~= '0' then
  redis.call('HSET', key, 'unsure', 1, 'lasts_ms',
    math.max(inherited, same and tonumber(same.lasts_ms or 0) or 0))
end
redis.call('HSETNX', key, 'created_ms', now)
redis.call('HSET', key, 'partly', partly)
if stops ~= '' then redis.call('HSET', key, 'stops', stops) else redis.call('HDEL', key, 'stops') end
if order_pair ~= '' then redis.call('HSET', key, 'order_pair', order_pair) end
if sent > 0 then redis.call('HSET', key, 'sent_ms', math.min(sent, now + AHEAD_MAX_MS)) end
redis.call('PERSIST', key)
redis.call('HDEL', key, 'ending', 'replaced_by')
if mode == 'arm' then redis.call('HDEL', key, 'put_off_ms', 'failures') end
if same and same.state ~= 'armed' then redis.call('HDEL', key, 'wants_ms') end
redis.call('PERSIST', key .. ':orders')
if same then -- it may have been spelled otherwise
  for _, pair in ipairs(split(same.pairs)) do redis.call('HDEL', scope, pair_field(pair)) end
end
own(scope, fields, id)
if name ~= '' or (same and not is_live(same)) then set_name(p, lane, id, name, same and same.name) end
change('SADD', key .. ':orders', order_list)
redis.call('ZADD', p .. 'switches', now, id)
local switch = read_switch(p, id)
local tended = place_switch(p, switch, now)
local mere_beat = mode ~= 'arm' and same and same.state == 'armed'
  and deadline >= tonumber(same.deadline_ms)
if not mere_beat then call_to(p, tended) end
reindex(p, tended, now)
if needs_sync(switch) then ring(p, queue, bell) end
return { state, id, epoch, deadline, native, why }
