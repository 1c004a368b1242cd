-- Begins every script, after now.lua. Takes two arguments off the end of ARGV:
--   called_ms  the latest shared time at which the caller can have made this call
--   valid_ms   shared time from which on the caller has given it up
-- A call that is no longer valid changes nothing: the answer is the error LATE.
-- now_ms() -> integer: shared time, Unix ms; one value for the whole script.
-- called_ms() -> integer: when the call was made, at the latest; never after now_ms().
local NOW, CALLED = raw_ms(), nil
do
  local valid = tonumber(table.remove(ARGV))
  CALLED = math.min(NOW, tonumber(table.remove(ARGV)))
  if NOW >= valid then return redis.error_reply('LATE the caller has given this call up') end
end
local function now_ms() return NOW end
local function called_ms() return CALLED end
