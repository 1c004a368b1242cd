-- In every script, after lib/call.
-- work_on(): let this script write though Redis is at maxmemory. Redis refuses the first write of
-- a script then, if it could take memory; what has written by then may continue. This removes nothing,
-- and is refused to users who may not remove fields: for them it is as before.
-- Where accepted work is completed, memory is freed sooner or later; new work is refused.
local function work_on() redis.pcall('HDEL', ARGV[1] .. 'lane:', 'full') end
