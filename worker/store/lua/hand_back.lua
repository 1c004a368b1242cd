-- hand_back(p, detail, (id, claim, by, holder) * n) -> how many were
-- Give up leases and holds in the middle of attempts: the jobs are due now. A
-- request may be under way, as when a worker is lost, so that who attempts the
-- job next asks the exchange first.
-- Keys: see lib/lanes
--- @include lib/history
--- @include lib/holds
--- @include lib/jobs
--- @include lib/lanes
--- @include lib/reach
local p, detail = ARGV[1], ARGV[2]
local now = now_ms()
local count = 0
for i = 3, #ARGV, 4 do
  local id, claim, by, holder = unpack(ARGV, i, i + 3)
  local key = p .. 'job:' .. id
  local job = redis.call('HMGET', key, 'state', 'claim', 'lane', 'attempts', 'claimed_ms',
    'history', 'urgent', 'claimed_by', 'doubtful', 'kind', 'pair', 'phase', 'lease_ms', 'client_id_prefix')
  if job[1] == 'pending' and job[2] == claim and job[8] == by then
    local lane = job[3]
    local line = cjson.encode({ n = tonumber(job[4]), at_ms = tonumber(job[5]), by = by,
      outcome = 'UNKNOWN', detail = detail })
    redis.call('HSET', key, 'history', noted(job[6], line), 'lost', 1, 'due_ms', now)
    redis.call('HDEL', key, 'claimed_by', 'claimed_ms')
    local reach = reach_of(job[10], job[12], job[5], job[13])
    if reach then note_reach(p, lane, scope_item(job[11], job[14]), reach) end
    place_job(p, lane, id, now, job[7], job[9])
    release(p, lane, holder, now)
    reindex(p, lane, now)
    count = count + 1
  end
end
return count
