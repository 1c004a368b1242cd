-- unlist(p, list, member * n) -> how many were on the list
-- Take off a list what is dealt with, so that it does not come back.
-- Keys: P <list> zset
return redis.call('ZREM', ARGV[1] .. ARGV[2], unpack(ARGV, 3))
