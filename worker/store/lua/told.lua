-- told(p, id) -> 1 if it was on the list
-- A person has been notified of a tripped switch.
-- Keys: P tripped zset switch -> ms
return redis.call('ZREM', ARGV[1] .. 'tripped', ARGV[2])
