-- notify_delivered(p, target, first, count) -> 1, or 0 if `first` is no longer the oldest message
-- Remove the `count` oldest messages of a target, which were delivered. Another sender may have
-- delivered and removed them.
-- Keys: P notify:to:<target> list, see notify_commit
local key = ARGV[1] .. 'notify:to:' .. ARGV[2]
if redis.call('LRANGE', key, 0, 0)[1] ~= ARGV[3] then return 0 end
redis.call('LTRIM', key, ARGV[4], -1)
return 1
