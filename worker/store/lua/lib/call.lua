-- Begins every script, after lib/raw_time. Takes three arguments off the end of ARGV:
--   sure_ms    the earliest shared time at which the caller can have made this call
--   called_ms  the latest shared time at which the caller can have made this call
--   valid_ms   shared time from which on the caller has given it up
-- A call that is no longer valid, or comes from a time in the future, changes nothing: the
-- answer is the error LATE, and the caller measures shared time again.
-- now_ms() -> integer: shared time, Unix ms; one value for the whole script. It is the
-- server's clock plus an offset, and never goes back: where the clock has, the offset
-- grows by as much, so that shared time is what the caller takes it for at least, or as it was
-- last written down if that is later. It never runs ahead: no window of a limit is cut short, and
-- no switch trips early.
-- called_ms() -> integer: when the call was made, at the latest; never after now_ms().
-- doubt_ms() -> integer: by how much a worker has seen shared time step on, while the others
-- have not answered; see step.lua. Who has just started cannot know of it.
-- unseen_ms() -> integer: for how long no worker had lived when one has just started: that
-- time may be a step which those that live have not seen yet; see heartbeat.lua.
-- offset_ms() -> integer: shared time less the server's clock
-- WRITES is false in scripts that do not write down that time has passed.
-- Keys: P clock hash  offset; last: shared time as it was recently recorded; doubt,
-- doubt_until, unseen and unseen_until
-- How much time passes before it is written down again, and how much may pass without.
--- @constants STEP_MS
local NOTE_MS, IDLE_MS = 50, 1000
local NOW, CALLED, OFFSET, DOUBT, UNSEEN
do
  local key = ARGV[1] .. 'clock'
  local valid = tonumber(table.remove(ARGV))
  local called = tonumber(table.remove(ARGV))
  local sure = tonumber(table.remove(ARGV))
  -- Users with the rights of an older version may read none of it.
  local known = redis.pcall('HMGET', key, 'offset', 'last', 'doubt', 'doubt_until', 'unseen',
    'unseen_until')
  local last = tonumber(not known.err and known[2] or 0)
  local raw = raw_ms()
  OFFSET = tonumber(not known.err and known[1] or 0)
  NOW = raw + OFFSET
  if NOW < last then
    NOW = math.max(last, math.min(sure, last + IDLE_MS))
    OFFSET = NOW - raw
    redis.pcall('HSET', key, 'offset', OFFSET)
  end
  if NOW >= valid then return redis.error_reply('LATE the caller has given this call up') end
  if WRITES and called > NOW + STEP_MS then return redis.error_reply('LATE the call is from a later time') end
  if WRITES and NOW - last >= NOTE_MS then redis.pcall('HSET', key, 'last', NOW) end
  DOUBT = not known.err and NOW < tonumber(known[4] or 0) and tonumber(known[3]) or 0
  UNSEEN = not known.err and NOW < tonumber(known[6] or 0) and tonumber(known[5]) or 0
  CALLED = math.min(NOW, called - DOUBT)
end
local function now_ms() return NOW end
local function called_ms() return CALLED end
local function offset_ms() return OFFSET end
local function doubt_ms() return DOUBT end
local function unseen_ms() return UNSEEN end
