-- take_back(p, lane, look_max, holder * n) -> how many jobs they had
-- Undo claims whose answers the holders never got: none of the jobs has been attempted
-- since, and none of the holds is used. Who holds nothing changes nothing. Each job's
-- history says so, as it was out of reach until then.
-- Keys: see lib/lanes
--- @include lib/history
--- @include lib/holds
--- @include lib/jobs
--- @include lib/lanes
local p, lane, look_max = ARGV[1], ARGV[2], tonumber(ARGV[3])
local DETAIL = 'not sent: who claimed it never heard so'
local now = now_ms()
local lost, count = {}, 0
for i = 4, #ARGV do lost[ARGV[i]] = true end
if not is_switch_lane(lane) then
  -- A claim has moved them on, mostly further than what waits for another attempt.
  local later = redis.call('ZREVRANGEBYSCORE', p .. 'due:' .. lane, '+inf', '(' .. now,
    'LIMIT', 0, look_max)
  for _, id in ipairs(later) do
    local key = p .. 'job:' .. id
    local by = redis.call('HGET', key, 'claimed_by')
    if by and lost[by] then
      local row = redis.call('HMGET', key, 'attempts', 'due_ms', 'urgent', 'single', 'doubtful',
        'claimed_ms', 'history')
      local claimed = tonumber(row[6])
      local line = cjson.encode({ n = tonumber(row[1]), at_ms = claimed, by = by,
        outcome = 'UNAVAILABLE', detail = DETAIL, took_ms = now - claimed })
      redis.call('HSET', key, 'history', noted(row[7], line))
      unclaim(p, lane, id, { attempts = row[1], due_ms = row[2], urgent = row[3], single = row[4],
        doubtful = row[5] })
      count = count + 1
    end
  end
end
for holder in pairs(lost) do release(p, lane, holder, now) end
reindex(p, lane, now)
return count
