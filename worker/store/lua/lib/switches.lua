-- A switch's record, and what follows from it.
-- Keys:
--   P switch:<id>         hash  v id account lane pairs timeout_ms deadline_ms epoch
--                               state (armed, tripped, disarmed; waiting: to be armed
--                               once its pairs are clear)
--                               native (1: the exchange holds the timer; 0: workers hold
--                               the deadline; 2: they do, once the timer is stopped)
--                               held_why (why workers: short, limit or slow, and a figure; shared)
--                               partly     why they hold a part of what has a timer
--                               way_ms     what was taken off the timer for the way
--                               lasts_ms   when its timers fire at the latest
--                               created_ms beat_ms armed_with (order ids at first)
--                               fires_ms   when the exchange's timer is known to
--                                          fire, at the earliest; 0 for no timer
--                               synced_ms  when that was last confirmed
--                               changed_ms when the exchange's timer was last found to be
--                                          other than set; see doubt_timer.lua
--                               unsure     a request for it was let go, and its end
--                                          is not known
--                               put_off_ms after failures, when the exchange is
--                                          to be asked again; failures so far
--                               wants_ms   since when its timer is not where it should be
--                               sent_ms    when its last plain message was sent, by that
--                                          sender's clock
--                               stops      'keep' if stop orders stay; else absent
--                               order_pair the pair to name with its orders' ids, if the exchange
--                                          needs one
--                               replaced_by the switch of who has armed a part of its
--                                          scope since, under another alias; or has its name now
--                               name       given by its strategy; see lib/switch_names
--                               ending     it has ended, and gives up its orders in parts
--   P switch:<id>:orders  set   tracked order ids; of one that has ended with very many, those
--                               that have no cancel yet, or are its own still
--   P switch:<id>:released set  the others of these
--   P scope:<lane>        hash  'p|<pair in lower case>', 'o|<order id>' or 'n|<name>' -> switch id;
--                               <lane> stands for the account, see lib/identity
--   P disarmed:<lane>     hash  pair -> ms of its last disarm or trip, by its sender's clock;
--                               kept for KEEP_MS, for the NOTED_MAX pairs noted last
--   P lane:<lane>:switch  hash  beside what lib/lanes has: called, since it was last
--                               claimed; quiet_until (ms), until when nobody but
--                               the holder quiet_but may send
--   P switches            zset  switch id -> ms of its last change of state
--   P due:<lane>:switch   zset  switch id -> ms at which it must be looked at; less than 0, in
--                               the order of need, where more than a renewal is due at once
--   P tripped             zset  tripped switch -> ms from which an alert is due
--- @constants STEP_MS

local KEEP_MS = 86400000
-- How many switches one look takes in, so that it does not block Redis.
local LOOK_MAX = 200
-- How far ahead of ours a sender's clock is believed to be.
local AHEAD_MAX_MS = 60000

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

-- last_word(switch) -> ms of its last beat or message: what was sent before is stale.
local function last_word(switch)
  return math.max(tonumber(switch.beat_ms), tonumber(switch.sent_ms or 0))
end

-- has_ended(switch, now) -> whether its deadline has passed. Not by the shared time of now
-- alone, which may have stepped a moment ago, but also by the caller's knowledge of it.
local function has_ended(switch, now)
  local ends = ends_at(switch)
  local sure = now - math.max(doubt_ms(), unseen_ms())
  return sure >= ends and called_ms() + STEP_MS >= ends
end

-- pair_field(pair) -> what a scope calls it. Case does not distinguish pairs: who arms one
-- in two spellings means one.
local function pair_field(pair) return 'p|' .. string.lower(pair) end

-- pair_fields(pairs) -> list of what a scope calls them
local function pair_fields(pairs)
  local fields = {}
  for i, pair in ipairs(pairs) do fields[i] = pair_field(pair) end
  return fields
end

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

-- fields_of(p, switch) -> the fields of its scope, and of its name
local function fields_of(p, switch)
  local fields = {}
  for _, pair in ipairs(split(switch.pairs)) do fields[#fields + 1] = pair_field(pair) end
  for _, order in ipairs(redis.call('SMEMBERS', p .. 'switch:' .. switch.id .. ':orders')) do
    fields[#fields + 1] = 'o|' .. order
  end
  if switch.name then fields[#fields + 1] = 'n|' .. switch.name end
  return fields
end
