-- accept(p, follows, bells, (queue, message) * bells,
--     (id, lane, kind, order_id, pair, side, parent, urgent, client_order_id,
--     client_id_prefix, stop, stops, hold_ms) * n)
--   -> (id, fresh) * n
-- Record jobs as pending and due now, then ring, in one step: once this has
-- answered, the jobs survive whatever dies. A job whose order is pending
-- already, or whose id is known, is that job: its id comes back with fresh 0.
-- Pair and side are part of an order's name: ids may repeat from pair to pair,
-- and one order's proof must never be another's. An order has an order_id or a
-- client_order_id, the other is ''. A scope may have a client_id_prefix. stop is 1
-- for a stop order: its ids may be others. stops is 'keep' for a scope whose stop orders stay.
-- With hold_ms a scope is kept empty for so long from now, at least.
-- follows is 1 for what is no new work, which a full Redis takes too; see lib/memory.
-- Keys: see lib/lanes; P <queue> list, the broker's.
-- A bell wakes workers. Where so many messages wait for them they are awake, and one
-- more would only keep them from the jobs: the bell of one job, which names it so that
-- it passes a backlog, leaves the name where they look next.
--- @include lib/accepting
--- @include lib/bells
--- @include lib/jobs
--- @include lib/lanes
local p, bells = ARGV[1], tonumber(ARGV[3])
if ARGV[2] == '1' then work_on() end
local now = now_ms()
local answer, touched, fresh, found = {}, {}, 0, {}
local WIDTH = 13
local many = #ARGV > 3 + 2 * bells + WIDTH

for i = 4 + 2 * bells, #ARGV, WIDTH do
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
for i = 4, fresh > 0 and 2 + 2 * bells or 0, 2 do
  local awake = redis.call('LLEN', p .. ARGV[i]) >= ENOUGH
  local told = awake and (many or name_job(p, next(touched), answer[1]))
  if not told then redis.call('LPUSH', p .. ARGV[i], ARGV[i + 1]) end
end
return answer
