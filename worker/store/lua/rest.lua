-- rest(p, lane, holder, pause_ms, keep_hold) -> 1, or 0 if another holds the lane
-- Give a lane up and let it rest. With keep_hold 1 whatever shares the hold rests
-- too: a request whose fate is unknown may yet arrive. A lane that was called to
-- since it was claimed does not rest.
-- Keys: see lanes.lua
local p, lane, holder, pause, keep = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local now = now_ms()
if redis.call('HGET', hold_key(p, lane), 'holder') ~= holder then return 0 end
if keep == '1' and hold_is(p, lane, holder, now) then
  take_hold(p, lane, holder, pause, now)
else
  release(p, lane, holder, now)
end
local called = redis.call('HDEL', p .. 'lane:' .. lane, 'called') == 1
if pause > 0 and not called then redis.call('HSET', p .. 'lane:' .. lane, 'not_before', now + pause) end
reindex(p, lane, now)
return 1
