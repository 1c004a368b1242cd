-- Who may call over HTTP, how often, and what was called.
-- Keys: P web:token:<digest> string; P web:calls:<digest> string, the time at which all
-- counted calls would have ended had they come one an interval; P web:audit list, latest first

-- admit(p, digest, interval, burst) -> record, wait: the record of a token, '' without one.
-- The call is counted, whichever process it reached: one each interval ms on average, burst at
-- once. wait is 0, or the ms until a call is allowed; this one is not counted then.
local function admit(p, digest, interval, burst)
  local record = redis.call('GET', p .. 'web:token:' .. digest)
  if not record then return '', 0 end
  local now = now_ms()
  local key = p .. 'web:calls:' .. digest
  local busy = math.max(now, tonumber(redis.call('GET', key) or 0))
  local wait = busy - now - (burst - 1) * interval
  if wait > 0 then return record, math.max(1, math.ceil(wait)) end
  busy = busy + interval
  redis.call('SET', key, string.format('%.3f', busy), 'PX', math.ceil(busy - now))
  return record, 0
end

-- audit(p, entry, kept): add an entry to the audit log, and drop all but the latest so many.
-- entry is a JSON object without its time, which is added first.
local function audit(p, entry, kept)
  entry = string.format('{"at_ms": %.0f, %s', now_ms(), string.sub(entry, 2))
  redis.call('LPUSH', p .. 'web:audit', entry)
  redis.call('LTRIM', p .. 'web:audit', 0, kept - 1)
end
