-- reported(p, list, member * n) -> how many were on the list
-- A person was alerted of these; they need not come back.
-- Keys: P <list> zset member -> ms from which a person is to be alerted
return redis.call('ZREM', ARGV[1] .. ARGV[2], unpack(ARGV, 3))
