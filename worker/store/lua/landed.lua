-- landed(p, grant, arrived, rule * n) -> 1
-- A granted request was answered, so it has arrived by now; with arrived 0 no byte of it left,
-- and its slots are free again.
-- Keys: see lib/slots
--- @include lib/slots
note_arrival(ARGV[1], ARGV[2], ARGV[3] == '1', { unpack(ARGV, 4) }, now_ms())
return 1
