-- rest(p, lane, holder, pause_ms, quiet, first_ms, longest_ms, id * n)
--   -> 1, or 0 if another holds the lane
-- Give a lane up and let it rest, till the first deadline in it at the latest.
-- With quiet 1 nothing may be sent for pause_ms, whoever claims it: a request whose
-- fate is unknown may yet arrive. Only who sent it can say that it is known. A lane that was called to since it was claimed does not
-- rest. The switches named have failed: each is put off by first_ms, or by twice
-- as long as the last time, up to longest_ms, so that it does not stand before
-- the others.
-- Keys: see lib/lanes, lib/switches
--- @include lib/holds
--- @include lib/lanes
--- @include lib/renewals
--- @include lib/switches
local p, lane, holder, pause, quiet = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local first, longest = tonumber(ARGV[6]), tonumber(ARGV[7])
local now = now_ms()
if redis.call('HGET', hold_key(p, lane), 'holder') ~= holder then return 0 end
for i = 8, #ARGV do
  local switch = read_switch(p, ARGV[i])
  if switch and switch.state ~= 'tripped' then
    local failures = tonumber(switch.failures or 0)
    switch.put_off_ms = now + math.min(longest, first * 2 ^ math.min(failures, 20))
    redis.call('HSET', p .. 'switch:' .. switch.id,
      'put_off_ms', switch.put_off_ms, 'failures', failures + 1)
    place_switch(p, switch, now)
  end
end
release(p, lane, holder, now)
if quiet == '1' then
  redis.call('HSET', p .. 'lane:' .. lane, 'quiet_until', now + pause, 'quiet_but', '')
elseif redis.call('HGET', p .. 'lane:' .. lane, 'quiet_but') == holder then
  redis.call('HDEL', p .. 'lane:' .. lane, 'quiet_until', 'quiet_but')
end
local called = redis.call('HDEL', p .. 'lane:' .. lane, 'called') == 1
if pause > 0 and not called then
  local first = redis.call('ZRANGE', p .. 'ends:' .. lane, 0, 0, 'WITHSCORES')
  redis.call('HSET', p .. 'lane:' .. lane, 'not_before', math.min(now + pause, tonumber(first[2] or math.huge)))
end
reindex(p, lane, now)
return 1
