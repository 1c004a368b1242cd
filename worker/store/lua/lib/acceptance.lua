-- How the jobs of one call are recorded; see accept.
-- Keys: see lib/lanes; P <queue> list, the broker's.
--- @include lib/accepting
--- @include lib/bells
--- @include lib/jobs
--- @include lib/lanes

-- is_asked(p, lane, now) -> whether a worker that runs jobs of the lane asks for more before a bell
-- would be answered
local function is_asked(p, lane, now)
  return (tonumber(redis.call('HGET', p .. 'lane:' .. lane, 'back')) or 0) > now
end

-- accept_jobs(p, first) -> (id, fresh) * n: record the jobs that ARGV names from `first` on.
local function accept_jobs(p, first)
  local bells = tonumber(ARGV[first + 1])
  if ARGV[first] == '1' then work_on() end
  local now = now_ms()
  local answer, touched, fresh, found = {}, {}, 0, {}
  local WIDTH = 13
  local many = #ARGV > first + 1 + 2 * bells + WIDTH

  for i = first + 2 + 2 * bells, #ARGV, WIDTH do
    local lane, pair, parent = ARGV[i + 1], ARGV[i + 4], ARGV[i + 6]
    local known, is_new = accept_job(p, { id = ARGV[i], lane = lane, kind = ARGV[i + 2],
      order_id = ARGV[i + 3], pair = pair, side = ARGV[i + 5], parent = parent,
      urgent = ARGV[i + 7] == '1', single = not many, client_order_id = ARGV[i + 8],
      client_id_prefix = ARGV[i + 9], stop = ARGV[i + 10] == '1' and '1' or '', stops = ARGV[i + 11],
      hold = tonumber(ARGV[i + 12]) }, now)
    if parent ~= '' and ARGV[i + 2] == 'cancel' then note_made(p, parent, known, now) end
    if is_new then
      touched[lane] = true
      fresh = fresh + 1
      if parent ~= '' then
        found[parent] = found[parent] or { count = 0, lane = lane, pairs = {} }
        found[parent].count = found[parent].count + 1
        found[parent].pairs[pair] = true
      end
    end
    answer[#answer + 1] = known
    answer[#answer + 1] = is_new and 1 or 0
  end

  -- A scope's record counts the cancels that it was given, and its pairs are ones that exist.
  for parent, children in pairs(found) do
    local scope = redis.call('HMGET', p .. 'job:' .. parent, 'kind', 'state', 'pair')
    if scope[1] == 'cancel_all' and scope[2] == 'pending' then
      redis.call('HINCRBY', p .. 'job:' .. parent, 'children', children.count)
      if scope[3] then children.pairs[scope[3]] = true end
      for pair in pairs(children.pairs) do
        if pair ~= '' then redis.call('SADD', p .. 'pairs:' .. children.lane, pair) end
      end
    end
  end
  for lane in pairs(touched) do
    -- Only ever earlier, so that arrivals do not send a waiting lane to the back.
    redis.call('ZADD', p .. 'lanes', 'LT', (lane_ready(p, lane, now)), lane)
  end
  for i = first + 2, fresh > 0 and first + 2 * bells or 0, 2 do
    local found = not many and is_asked(p, next(touched), now)
    local awake = found or redis.call('LLEN', p .. ARGV[i]) >= ENOUGH
    local told = awake and (many or name_job(p, next(touched), answer[1]))
    if not told then redis.call('LPUSH', p .. ARGV[i], ARGV[i + 1]) end
  end
  return answer
end
