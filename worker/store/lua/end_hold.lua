-- end_hold(p, id) -> 1 if the job is a pending cancel-all that keeps its scope empty, else 0
-- End the hold now: the job ends once a list shows its scope empty, at most a second later
-- if the exchange answers. A worker in the middle of an attempt looks once more.
-- Keys: P job:<id> hash
local key, now = ARGV[1] .. 'job:' .. ARGV[2], now_ms()
local job = redis.call('HMGET', key, 'state', 'hold_until')
if job[1] ~= 'pending' or tonumber(job[2] or 0) <= now then return 0 end
work_on()
redis.call('HSET', key, 'hold_until', string.format('%.0f', now))
return 1
