-- owners(p, lane, pair * n) -> switch ids
-- The switches that hold any of these pairs of the lane's account, or the whole account; all
-- switches for the pair EVERYTHING.
-- Keys: see lib/switches
--- @constants EVERYTHING
--- @include lib/lanes
--- @include lib/switches
local p, lane = ARGV[1], ARGV[2]
local scope, found = by_account(p, 'scope', lane), {}
local whole = redis.call('HGET', scope, pair_field(EVERYTHING))
if whole then found[1] = whole end
for i = 3, #ARGV do
  if ARGV[i] == EVERYTHING then
    local row = redis.call('HGETALL', scope)
    for each = 1, #row, 2 do
      if string.sub(row[each], 1, 2) ~= 'n|' then found[#found + 1] = row[each + 1] end
    end
  else
    local owner = owner_of(p, scope, ARGV[i])
    if owner then found[#found + 1] = owner end
  end
end
return found
