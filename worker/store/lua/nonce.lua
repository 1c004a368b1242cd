-- nonce(p, key_id, floor, unit) -> integer as text
-- The next nonce of a key, as lib/nonces allocates it.
--- @include lib/nonces
return next_nonce(ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]))
