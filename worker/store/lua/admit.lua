-- admit(p, digest, interval_ms, burst) -> record, wait_ms
-- Return the record of a client's token, '' without one, and count a call of it; see lib/admission.
--- @include lib/admission
return { admit(ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])) }
