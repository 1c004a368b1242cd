-- step(p, worker, size_ms, expected_ms, offset_ms, ago_ms) -> 'taken' | 'gone' | 'wait' | 'real'
-- A worker has seen shared time step by size_ms (less than 0: back) against its own
-- clock, by which it is expected_ms now, while the offset was offset_ms; ago_ms ago both
-- still agreed. The offset takes
-- the step back once two living workers saw the same, or the only one alive did, and off what
-- callers wrote that could not see it.
--   taken, gone  shared time is as before, or has been moved since: measure again
--   wait         for other workers
--   real         others have lived through that time: it is to be followed
-- Keys: P clock hash, see lib/call; P workers zset; P clock:votes hash worker -> its
-- size_ms and the ms of its first vote; or 'new' and
-- when it started, of who has seen no other time
--- @constants LATELY_MS OTHERS_MS PRESENCE_MS STEP_MS
--- @include lib/step_writes
local p, worker = ARGV[1], ARGV[2]
local size, expected = tonumber(ARGV[3]), tonumber(ARGV[4])
local offset, ago = tonumber(ARGV[5]), tonumber(ARGV[6])
local now = now_ms()
local votes = p .. 'clock:votes'
if offset ~= offset_ms() then return 'gone' end

-- vote_of(name) -> size, since; or nil
local function vote_of(name)
  local vote = redis.call('HGET', votes, name)
  local size, since = string.match(vote or '', '^(%S+) (%S+)$')
  if size and math.abs(now - tonumber(since)) < 10 * PRESENCE_MS then
    return tonumber(size), tonumber(since)
  end
end

-- alive(seen) -> whether a worker that was seen then lives, by time as it was or as it is
local function alive(seen)
  return seen > expected - PRESENCE_MS or (seen > now - PRESENCE_MS and seen < now + STEP_MS)
end

-- knows(name) -> whether a worker knows of the time before a step on: not if it started since
local function knows(name)
  local started = tonumber(string.match(redis.call('HGET', votes, name) or '', '^new (%S+)$'))
  return size <= 0 or not started or math.abs(now - started) > ago
end

local mine, since = vote_of(worker)
if not mine or math.abs(mine - size) > STEP_MS then since = now end
local others, passed, agreed = 0, 0, nil
local rows = redis.call('ZRANGE', p .. 'workers', 0, -1, 'WITHSCORES')
for i = 1, #rows, 2 do
  local seen = tonumber(rows[i + 1])
  if rows[i] ~= worker and alive(seen) and knows(rows[i]) then
    others = others + 1
    local vote = vote_of(rows[i])
    if vote and math.abs(vote - size) <= STEP_MS then agreed = vote end
    if size > 0 and seen > expected + STEP_MS then return 'real' end
    if seen > since + OTHERS_MS and seen < now + STEP_MS then passed = passed + 1 end
  end
end
if others == 0 or agreed then
  if agreed and math.abs(agreed) < math.abs(size) then size = agreed end
  redis.call('HSET', p .. 'clock', 'offset', offset - size, 'last', now - size)
  redis.call('HDEL', p .. 'clock', 'doubt', 'doubt_until', 'unseen', 'unseen_until')
  redis.call('DEL', votes)
  if size > 0 then
    correct_switches(p, size, now - size)
    correct_jobs(p, size, now - ago - STEP_MS, now - size)
  end
  return 'taken'
end
if passed == others then
  redis.call('HDEL', votes, worker)
  redis.call('HDEL', p .. 'clock', 'doubt', 'doubt_until', 'unseen', 'unseen_until')
  return 'real'
end
if size > 0 then
  -- No switch is tripped by a time that is in doubt, nor does a beat count from it.
  redis.call('HSET', p .. 'clock', 'doubt', size, 'doubt_until', since + PRESENCE_MS + OTHERS_MS)
end
redis.call('HSET', votes, worker, size .. ' ' .. since)
redis.call('PEXPIRE', votes, LATELY_MS)
return 'wait'
