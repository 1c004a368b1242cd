-- Which of a lane's due jobs go next.
-- Keys:
--   P doubtful:<lane> zset  due job whose attempts prove nothing -> ms at which it is due;
--                           the others are in P due:<lane> alone, or also in P urgent:<lane>
--   P lane:<lane>     hash  urgent_run, single_run, clear_run: see below
-- Each job is of one class, by its record: `doubtful` if its last settlement set that (settle.lua),
-- else `urgent`, else `single`, else bulk. Classes are served by weights, so that none gets
-- nothing. While others wait,
--   of CLEAR_RUN + 1 attempts one is of a doubtful job;
--   of URGENT_RUN + 1 others one is of a job that is not urgent;
--   of SINGLE_RUN + 1 of those one is of the job that has been due for longest, bulk or single.
-- The runs count attempts that were made, not claims: what is put back unsent takes no turn.

-- How often one claim looks for a name whose job is still available.
local NAMED_LOOKS = 40
local URGENT_RUN, SINGLE_RUN, CLEAR_RUN = 4, 3, 9
-- How many due places one look for the longest due passes over.
local LOOK_PAGE, LOOK_PAGES = 50, 40

-- count_turn(runs, class): an attempt of that class was made; write_runs(p, lane, runs)
local function count_turn(runs, class)
  if class == 'doubtful' then
    runs.clear = 0
    return
  end
  runs.clear = math.min(runs.clear + 1, CLEAR_RUN)
  if class == 'urgent' then
    runs.urgent = math.min(runs.urgent + 1, URGENT_RUN)
    return
  end
  runs.urgent = 0
  runs.single = class == 'single' and math.min(runs.single + 1, SINGLE_RUN) or 0
end

local function write_runs(p, lane, runs)
  redis.call('HSET', p .. 'lane:' .. lane, 'urgent_run', runs.urgent, 'single_run', runs.single,
    'clear_run', runs.clear)
end

-- class_of(doubtful, urgent, single) -> the class of a job, by these fields of its record
local function class_of(doubtful, urgent, single)
  return doubtful and 'doubtful' or urgent and 'urgent' or single and 'single' or 'bulk'
end

-- next_class(runs, urgent, single, bulk, doubtful) -> the class whose turn it is, of those that
-- have a due job; nil if none has
local function next_class(runs, urgent, single, bulk, doubtful)
  local others = single or bulk
  if doubtful and (runs.clear >= CLEAR_RUN or not (urgent or others)) then return 'doubtful' end
  if urgent and (runs.urgent < URGENT_RUN or not others) then return 'urgent' end
  if single and (runs.single < SINGLE_RUN or not bulk) then return 'single' end
  return bulk and 'bulk' or nil
end

-- due_doubtful(p, lane, count, now) -> up to so many ids. An older version's workers, and a
-- merge that makes a job due sooner, leave the index behind P due:<lane>: that counts.
local function due_doubtful(p, lane, count, now)
  local index, ids = p .. 'doubtful:' .. lane, {}
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', now, 'LIMIT', 0, count)) do
    local at = redis.call('ZSCORE', p .. 'due:' .. lane, id)
    if not at then redis.call('ZREM', index, id)
    elseif tonumber(at) > now then redis.call('ZADD', index, at, id)
    else ids[#ids + 1] = id end
  end
  return ids
end

-- due_named(p, lane, count, now) -> up to so many ids of single jobs, taken off their list
local function due_named(p, lane, count, now)
  local ids, had = {}, {}
  for _ = 1, NAMED_LOOKS do
    local named = #ids < count and redis.call('RPOP', p .. 'named:' .. lane, count - #ids)
    if not named then break end
    for _, id in ipairs(named) do
      -- It may have been named twice, or be taken, put off or ended by now.
      local score = not had[id] and redis.call('ZSCORE', p .. 'due:' .. lane, id)
      if score and tonumber(score) <= now then
        ids[#ids + 1], had[id] = id, true
      end
    end
  end
  return ids
end

-- longest_due(p, lane, count, now, apart) -> up to so many ids of due jobs, earliest first. If
-- `apart`, none that is urgent or doubtful; however many of those are before them, they are
-- found by how many there are up to a moment.
local function longest_due(p, lane, count, now, apart)
  local due = p .. 'due:' .. lane
  if not apart then return redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, count) end
  local urgent, doubtful = p .. 'urgent:' .. lane, p .. 'doubtful:' .. lane
  local function others(till)
    return redis.call('ZCOUNT', due, '-inf', till) - redis.call('ZCOUNT', urgent, '-inf', till)
      - redis.call('ZCOUNT', doubtful, '-inf', till)
  end
  local ids = {}
  count = math.min(count, others(now))
  if count <= 0 then return ids end
  local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
  local from, till = math.floor(tonumber(first[2])), now
  while from < till do
    local middle = math.floor((from + till) / 2)
    if others(middle) > 0 then till = middle else from = middle + 1 end
  end
  for page = 0, LOOK_PAGES - 1 do
    local found = redis.call('ZRANGEBYSCORE', due, from, now, 'LIMIT', page * LOOK_PAGE, LOOK_PAGE)
    for _, id in ipairs(found) do
      if not redis.call('ZSCORE', urgent, id) and not redis.call('ZSCORE', doubtful, id) then
        ids[#ids + 1] = id
        if #ids == count then return ids end
      end
    end
    if #found < LOOK_PAGE then break end
  end
  return ids
end

-- next_due(p, lane, count, now, runs) -> up to so many ids of due jobs, in the order of their turns
local function next_due(p, lane, count, now, runs)
  local classes = {
    urgent = redis.call('ZRANGEBYSCORE', p .. 'urgent:' .. lane, '-inf', now, 'LIMIT', 0, count),
    doubtful = due_doubtful(p, lane, count, now),
  }
  local apart = #classes.urgent + #classes.doubtful > 0
  classes.bulk = longest_due(p, lane, count, now, apart)
  classes.single = (#classes.bulk > 0 or apart) and due_named(p, lane, count, now) or {}
  if not apart and not classes.single[1] then
    for _ = 1, #classes.bulk do count_turn(runs, 'bulk') end
    return classes.bulk
  end
  local ids, had = {}, {}
  local function first(class)
    local list = classes[class]
    while had[list[1]] do table.remove(list, 1) end
    return list[1]
  end
  while #ids < count do
    local class = next_class(runs, first('urgent'), first('single'), first('bulk'), first('doubtful'))
    if not class then break end
    local id = first(class)
    ids[#ids + 1], had[id] = id, true
    count_turn(runs, class)
  end
  for i = #classes.single, 1, -1 do
    local id = classes.single[i]
    if not had[id] then redis.call('RPUSH', p .. 'named:' .. lane, id) end
  end
  return ids
end

-- may_pass(p, lane, now, runs, due) -> whether a job that is asked for by name goes now, rather
-- than in turn. It is one of so many due ones; mostly no other is due.
local function may_pass(p, lane, now, runs, due)
  if due <= 1 then return true end
  local function any(index) return redis.call('ZCOUNT', p .. index .. lane, '-inf', now) > 0 end
  return runs.single < SINGLE_RUN
    and (runs.urgent >= URGENT_RUN or not any('urgent:'))
    and (runs.clear < CLEAR_RUN or not any('doubtful:'))
end
