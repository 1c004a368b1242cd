-- notify_commit(p, holder, state, taken, most, (target, message)*) -> 1, or 0 if the lease is lost
-- Record what is known of outages, and what is to be sent for it, in one step. The first `taken`
-- alerts are part of that state from now on. Of each target's messages the latest `most` are kept.
-- Keys: P notify:lease string; P notify:state string, JSON; P notify:raised list of alerts, JSON;
-- P notify:to:<target> list of messages, JSON, the oldest first
local p, holder, taken, most = ARGV[1] .. 'notify:', ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5])
local KEEP_MS = 7 * 86400000
if redis.call('GET', p .. 'lease') ~= holder then return 0 end
redis.call('SET', p .. 'state', ARGV[3])
if taken > 0 then redis.call('LTRIM', p .. 'raised', taken, -1) end
for i = 6, #ARGV, 2 do
  local key = p .. 'to:' .. ARGV[i]
  redis.call('RPUSH', key, ARGV[i + 1])
  redis.call('LTRIM', key, -most, -1)
  redis.pcall('PEXPIRE', key, KEEP_MS) -- not every user may
end
return 1
