-- Who may call over HTTP, how often, and what was called.
-- Keys: P web:token:<digest> string; P web:calls:<digest> of calls, P web:wrong:<digest of an
-- address> of wrong secrets: strings, the time at which all that were counted would have ended
-- had they come one an interval; P web:audit list, latest first

-- metered(key, interval, burst, count) -> ms until one more is allowed, or 0: one each interval ms
-- on average, burst at once. One that is allowed is counted if count is true.
local function metered(key, interval, burst, count)
  local now = now_ms()
  local busy = math.max(now, tonumber(redis.call('GET', key) or 0))
  local wait = busy - now - (burst - 1) * interval
  if wait > 0 then return math.max(1, math.ceil(wait)) end
  if count then
    busy = busy + interval
    redis.call('SET', key, string.format('%.3f', busy), 'PX', math.ceil(busy - now))
  end
  return 0
end

-- admit(p, digest, interval, burst) -> record, wait: the record of a token, '' without one.
-- The call is counted, whichever process it reached. wait is 0, or the ms until a call is
-- allowed; this one is not counted then.
local function admit(p, digest, interval, burst)
  local record = redis.call('GET', p .. 'web:token:' .. digest)
  if not record then return '', 0 end
  return record, metered(p .. 'web:calls:' .. digest, interval, burst, true)
end

-- audit(p, entry, kept): add an entry to the audit log, and drop all but the latest so many.
-- entry is a JSON object without its time, which is added first.
local function audit(p, entry, kept)
  entry = string.format('{"at_ms": %.0f, %s', now_ms(), string.sub(entry, 2))
  redis.call('LPUSH', p .. 'web:audit', entry)
  redis.call('LTRIM', p .. 'web:audit', 0, kept - 1)
end
