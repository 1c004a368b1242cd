-- share_token(p, account, sealed, ttl_ms) -> 1
-- Share a token until ttl_ms from now.
-- Keys: P token:<account> string
redis.call('SET', ARGV[1] .. 'token:' .. ARGV[2], ARGV[3], 'PX', ARGV[4])
return 1
