-- drop_token(p, account, sealed) -> 1 if dropped
-- Forget a token that the exchange refused, unless a newer one is there. Or,
-- with "<account>:refresh" and its mark, the turn to fetch one, if it is ours still.
-- Keys: P token:<account> string, P token:<account>:refresh string
local key = ARGV[1] .. 'token:' .. ARGV[2]
if redis.call('GET', key) == ARGV[3] then return redis.call('DEL', key) end
return 0
