-- accept(p, bells, (queue, message) * bells, (id, lane, kind, order_id, pair, side, parent) * n)
--   -> (id, fresh) * n
-- Record jobs as pending and due now, then ring, in one step: once this has
-- answered, the jobs survive whatever dies. A job whose order is pending
-- already, or whose id is known, is that job: its id comes back with fresh 0.
-- Keys: P job:<id>, P pending:<lane>, P due:<lane>, P lanes, the broker's queues.
local p, bells = ARGV[1], tonumber(ARGV[2])
local now = now_ms()
local answer, touched, fresh = {}, {}, 0

for i = 3 + 2 * bells, #ARGV, 7 do
  local id, lane, kind, order_id, pair, side, parent = unpack(ARGV, i, i + 6)
  local field = kind .. '|' .. order_id
  if order_id == '' then field = kind .. '|' .. pair .. '|' .. side end
  local pending = p .. 'pending:' .. lane
  local known = redis.call('HGET', pending, field)
  if not known and redis.call('EXISTS', p .. 'job:' .. id) == 1 then known = id end
  if known then
    answer[#answer + 1] = known
    answer[#answer + 1] = 0
  else
    local job = { 'HSET', p .. 'job:' .. id, 'v', 1, 'id', id, 'lane', lane, 'kind', kind,
      'state', 'pending', 'created_ms', now, 'due_ms', now }
    for name, value in pairs({ order_id = order_id, pair = pair, side = side, parent = parent }) do
      if value ~= '' then
        job[#job + 1] = name
        job[#job + 1] = value
      end
    end
    redis.call(unpack(job))
    redis.call('HSET', pending, field, id)
    redis.call('ZADD', p .. 'due:' .. lane, now, id)
    touched[lane] = true
    fresh = fresh + 1
    answer[#answer + 1] = id
    answer[#answer + 1] = 1
  end
end

for lane in pairs(touched) do
  -- Only ever earlier, so that arrivals do not send a waiting lane to the back.
  redis.call('ZADD', p .. 'lanes', 'LT', (lane_ready(p, lane, now)), lane)
end
if fresh > 0 then
  for i = 3, 1 + 2 * bells, 2 do redis.call('LPUSH', ARGV[i], ARGV[i + 1]) end
end
return answer
