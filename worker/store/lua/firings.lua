-- firings(p, lane) -> { count, most }
-- How often the exchange's timer of an account has fired today, and how often it may; 0: no bound.
-- Keys: see lib/firings
--- @include lib/firings
--- @include lib/lanes
local p = ARGV[1]
local count, most = firings_of(p, switch_lane(canon(p, ARGV[2])), now_ms())
return { count, most }
