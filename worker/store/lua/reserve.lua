-- reserve(p, member, flight_ms, urgent, (rule, max, window_ms, kind, weight) * n) -> wait_ms
-- Keys: see lib/limits
--- @include lib/limits
local p, request = ARGV[1], { member = ARGV[2], flight = tonumber(ARGV[3]), urgent = ARGV[4] == '1' }
return reserve_slots(p, request, rules_in(p, 5, (#ARGV - 4) / 5), now_ms())
