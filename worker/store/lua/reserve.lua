-- reserve(p, member, flight_ms, urgent, (rule, max, window_ms, kind) * n) -> wait_ms
-- Keys: see lib/limits
--- @include lib/limits
return reserve_slots(ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1', now_ms(), 5, (#ARGV - 4) / 4)
