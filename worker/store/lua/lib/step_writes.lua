-- What callers without an earlier time wrote while shared time had stepped on. Such a
-- process has just started: it cannot see the step, and counts from the time it finds.
-- Keys: see lib/jobs, lib/switches
--- @constants STEP_MS
--- @include lib/jobs
--- @include lib/lanes
--- @include lib/renewals
--- @include lib/switches

-- correct_switches(p, size, now): take the step off the deadlines that count from later than now.
local function correct_switches(p, size, now)
  for _, id in ipairs(redis.call('ZRANGE', p .. 'switches', 0, -1)) do
    local beat = redis.call('HGET', p .. 'switch:' .. id, 'beat_ms')
    local switch = tonumber(beat or 0) > now + STEP_MS and read_switch(p, id)
    if switch and is_live(switch) then
      switch.beat_ms, switch.deadline_ms = beat - size, switch.deadline_ms - size
      redis.call('HSET', p .. 'switch:' .. id, 'beat_ms', switch.beat_ms, 'deadline_ms', switch.deadline_ms)
      reindex(p, place_switch(p, switch, now), now)
    end
  end
end

-- correct_jobs(p, size, since, now): jobs that were accepted later than now, since the time before
-- the step was last seen, are due as if it had not been.
local function correct_jobs(p, size, since, now)
  for _, lane in ipairs(redis.call('ZRANGE', p .. 'lanes', 0, -1)) do
    local ids = is_switch_lane(lane) and {}
      or redis.call('ZRANGEBYSCORE', p .. 'due:' .. lane, since, now + size)
    for _, id in ipairs(ids) do
      local key = p .. 'job:' .. id
      local job = redis.call('HMGET', key, 'created_ms', 'due_ms', 'urgent', 'doubtful', 'claimed_by')
      if tonumber(job[1] or 0) > now + STEP_MS and not job[5] then
        redis.call('HSET', key, 'created_ms', job[1] - size, 'due_ms', job[2] - size)
        place_job(p, lane, id, job[2] - size, job[3], job[4])
        reindex(p, lane, now)
      end
    end
  end
end
