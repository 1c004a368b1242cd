-- wrong(p, digest, interval_ms, burst, count) -> ms until this address may try another secret, or 0
-- Count a wrong secret from an address with count '1', or only look with '0'; see lib/admission.
--- @include lib/admission
return metered(ARGV[1] .. 'web:wrong:' .. ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1')
