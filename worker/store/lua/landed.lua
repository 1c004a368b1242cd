-- landed(p, arrived) -> 1
-- Granted requests were answered, so they have arrived by now; or no byte of one left, and its
-- slots are free again. arrived: see lib/slots.
-- Keys: see lib/slots
--- @include lib/slots
note_arrivals(ARGV[1], ARGV[2], now_ms())
return 1
