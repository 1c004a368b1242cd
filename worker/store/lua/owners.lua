-- owners(p, lane, pair * n) -> switch ids
-- The switches that hold any of these pairs of the lane's account.
-- Keys: see lib/switches
--- @include lib/lanes
--- @include lib/switches
local p, lane = ARGV[1], ARGV[2]
local scope, found = by_account(p, 'scope', lane), {}
for i = 3, #ARGV do
  local owner = owner_of(p, scope, ARGV[i])
  if owner then found[#found + 1] = owner end
end
return found
