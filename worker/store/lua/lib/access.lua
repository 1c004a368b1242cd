-- Jobs of an account that wait because of one reply: refused credentials, and jobs that were put off.
-- Keys:
--   P lane:<lane>   hash  refused (what was refused: cancels, reads or token; absent while they
--                         are accepted), refused_ms (since when), refusals (probes refused in a
--                         row), refused_at (ms of the last refusal)
--   P asked:<lane>  zset  job that a reply put off for a while -> ms at which it is due
-- While credentials are refused one job at a time is attempted, as a probe, which not_before
-- makes the others wait for: first after FIRST_PROBE_MS, then after twice as long each time. A
-- worker that dies during the probe costs its lease. The first attempt that shows the
-- account to work again sets all of them free.
--- @constants REFUSALS
--- @include lib/jobs
--- @include lib/lanes

local FIRST_PROBE_MS, LAST_PROBE_MS = 1000, 60000
-- How many jobs that were put off one answer makes due, and how far apart.
local WAKE_MAX, WAKE_STEP_MS, WAKE_LAST_MS = 500, 20, 1000
local states = {}
-- Lanes of which nothing is put off, as this call of the script has found.
local none_asked = {}
-- Where these are in what read_lane gives.
local HOLD, HOLDER, CANON, BACK, BACKER = 4, 7, 8, 16, 17

-- read_lane(p, lane) -> values of its hash; its runs, see lib/turns. All that one who claims or
-- settles asks of it, in one command; what is refused is kept for refusal_of. The first values
-- are those of ready_of.
local function read_lane(p, lane)
  local row = redis.call('HMGET', p .. 'lane:' .. lane, 'width', 'held_until', 'not_before', 'hold',
    'bulk', 'guest_until', 'holder', 'canon', 'urgent_run', 'single_run', 'clear_run',
    'refused', 'refused_ms', 'refusals', 'refused_at', 'back', 'backer')
  states[lane] = states[lane] or { what = row[12], since = tonumber(row[13]),
    count = tonumber(row[14] or 0), at = tonumber(row[15] or 0) }
  return row, { urgent = tonumber(row[9] or 0), single = tonumber(row[10] or 0),
    clear = tonumber(row[11] or 0) }
end

-- refusal_of(p, lane) -> table: what (or nil), since, count, at, as of this call of the script
local function refusal_of(p, lane)
  if not states[lane] then read_lane(p, lane) end
  return states[lane]
end

-- hold_probe(p, lane, till): the job just claimed is the probe; no other is claimed before.
local function hold_probe(p, lane, till)
  redis.call('HSET', p .. 'lane:' .. lane, 'not_before', till)
end

-- wake(p, lane, now): jobs that a reply put off are due, a few at a time.
local function wake(p, lane, now)
  local key = p .. 'asked:' .. lane
  local rows = redis.call('ZRANGE', key, 0, WAKE_MAX - 1, 'WITHSCORES')
  none_asked[lane] = #rows < 2 * WAKE_MAX
  if not rows[1] then return end
  for i = 1, #rows, 2 do
    local id, at = rows[i], math.min(now + WAKE_STEP_MS * (i - 1) / 2, now + WAKE_LAST_MS)
    local due = redis.call('ZSCORE', p .. 'due:' .. lane, id)
    -- Claimed, ended or put off again since: then its place is another.
    if due and tonumber(due) == tonumber(rows[i + 1]) and tonumber(due) > at then
      local job = redis.call('HMGET', p .. 'job:' .. id, 'urgent', 'doubtful')
      redis.call('HSET', p .. 'job:' .. id, 'due_ms', string.format('%.0f', at))
      place_job(p, lane, id, at, job[1], job[2])
    end
    redis.call('ZREM', key, id)
  end
end

-- probe_now(p, lane, now): a worker that starts may bring other credentials. Its account's probe
-- is due at once, or a moment after the last, however often workers register.
local function probe_now(p, lane, now)
  local refusal = refusal_of(p, lane)
  if not refusal.what then return end
  local at = math.max(now, refusal.at + FIRST_PROBE_MS)
  if at < tonumber(redis.call('HGET', p .. 'lane:' .. lane, 'not_before') or 0) then
    redis.call('HSET', p .. 'lane:' .. lane, 'not_before', string.format('%.0f', at))
    reindex(p, lane, now)
  end
end

-- note_evidence(p, lane, attempt, now): what an attempt shows of the account.
-- attempt: id, verb, evidence (see `Evidence` in outcomes.py), claimed and due (ms).
-- What was claimed before the last refusal may have been sent before it, and shows nothing.
local function note_evidence(p, lane, attempt, now)
  local verb, evidence = attempt.verb, attempt.evidence
  local refusal = refusal_of(p, lane)
  local key, what = p .. 'lane:' .. lane, REFUSALS[evidence]
  if verb == 'again' and (what or evidence == 'put off') and attempt.due > now then
    redis.call('ZADD', p .. 'asked:' .. lane, attempt.due, attempt.id)
    none_asked[lane] = nil
  end
  if refusal.what and attempt.claimed < refusal.at then return end
  local works = evidence == 'cancels' or evidence == 'reads'
  if what then
    refusal.what, refusal.since, refusal.at = what, refusal.since or now, now
    refusal.count = math.min(refusal.count + 1, 20)
    -- One that is given up has waited for long enough: the next is the probe, at once.
    local pause = verb == 'dead' and 0 or math.min(FIRST_PROBE_MS * 2 ^ (refusal.count - 1), LAST_PROBE_MS)
    redis.call('HSET', key, 'refused', what, 'refused_ms', refusal.since, 'refusals', refusal.count,
      'refused_at', now, 'not_before', string.format('%.0f', now + pause))
  elseif refusal.what and works and (evidence == 'cancels' or refusal.what ~= 'cancels') then
    refusal.what, refusal.since, refusal.count = nil, nil, 0
    redis.call('HDEL', key, 'refused', 'refused_ms', 'refusals', 'refused_at', 'not_before')
  elseif refusal.what then
    -- The probe has shown nothing: another job's turn, soon.
    redis.call('HSET', key, 'not_before', verb == 'wait' and now or now + FIRST_PROBE_MS)
  end
  if works and not refusal.what and not none_asked[lane] then wake(p, lane, now) end
end
