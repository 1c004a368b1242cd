-- disarm_pairs(p, lane, queue, bell, sent_ms, message, again, pair * n)
--   -> 'disarmed', id | 'none', '' | 'tripped', id | 'stale', id | 'overlap', id, its pairs
-- End the switch of exactly these pairs, for one who holds none. Pairs come sorted. With
-- sent_ms the order of sending decides: what was armed or renewed later stays, and these
-- pairs are not armed by what was sent earlier, even where no switch holds them yet.
-- Without sent_ms (0), a message (its id) that comes again (again 1) and was taken before
-- ends nothing: what is armed by now came later. 'overlap': an armed switch holds some of
-- the pairs, or more than them; nothing is changed.
-- Keys: see lib/switches; P said:<message>; P <queue> list, the broker's
--- @include lib/disarms
--- @include lib/endings
--- @include lib/lanes
--- @include lib/switches
--- @include lib/trips
local p, lane, queue, bell = unpack(ARGV, 1, 4)
local sent, message, again = tonumber(ARGV[5]), ARGV[6], ARGV[7] == '1'
local now = now_ms()
if sent == 0 then
  local taken = redis.call('SET', p .. 'said:' .. message, 1, 'NX', 'PX', KEEP_MS)
  if again and not taken then return { 'stale', '' } end
end
local pair_list = {}
for i = 8, #ARGV do pair_list[#pair_list + 1] = ARGV[i] end
local pairs_text = table.concat(pair_list, ',')

local scope = by_account(p, 'scope', lane)
local answer, ending, seen = { 'none', '' }, nil, {}
for _, pair in ipairs(pair_list) do
  local owner = owner_of(p, scope, pair)
  local switch = owner and not seen[owner] and read_switch(p, owner)
  if owner then seen[owner] = true end
  if switch and is_live(switch) and has_ended(switch, now) then
    trip(p, switch, now)
    answer = { 'tripped', owner }
  elseif switch and switch.state == 'disarmed' then
    answer = { 'disarmed', owner }
  elseif switch and is_live(switch) then
    if sent > 0 and sent < last_word(switch) then
      answer = { 'stale', owner }
    elseif not same_pairs(switch.pairs, pairs_text) then
      return { 'overlap', owner, switch.pairs }
    else
      ending = switch
    end
  end
end
local at = sent > 0 and math.min(sent, now + AHEAD_MAX_MS) or now
note_disarm(p, lane, pair_list, at)
if not ending then return answer end
end_switch(p, ending, at, queue, bell, now)
return { 'disarmed', ending.id }
