-- Whether earlier cancels of a pair are over, so that it can be armed.
-- Keys: see lib/jobs, lib/reach, lib/identity
--- @constants EVERYTHING
--- @include lib/jobs
--- @include lib/lanes

-- How long the list of a scope is expected to take.
local LISTS_MS = 500

-- with_whole(p, lane, pairs) -> the pairs whose former cancels concern these: themselves and
-- EVERYTHING; for EVERYTHING all that are known of.
local function with_whole(p, lane, pairs)
  local all = { EVERYTHING, unpack(pairs) }
  if pairs[1] ~= EVERYTHING then return all end
  all = { EVERYTHING }
  local row = redis.call('HGETALL', p .. 'lane:' .. lane)
  for i = 1, #row, 2 do
    local pair = string.match(row[i], '^reach|(.*)$')
    if pair and pair ~= EVERYTHING then all[#all + 1] = pair end
  end
  return all
end

-- clearing_in(p, lane, pairs, now) -> pair, ms, job id, its last detail; nil if they are clear
-- What a former life has sent, or will send, may yet cancel what is placed from now on: a tripped
-- switch's cancel-all that has not had its first complete list, a request whose reply
-- never came, the exchange's own timer. ms: how long that is expected to last.
local function clearing_in(p, lane, pairs, now)
  if not pairs[1] then return nil end
  pairs = with_whole(p, lane, pairs)
  local names, reaches = {}, {}
  for i, pair in ipairs(pairs) do
    names[i], reaches[i] = item_field(pair), 'reach|' .. pair
  end
  local jobs = redis.call('HMGET', p .. 'pending:' .. lane, unpack(names))
  local ends = redis.call('HMGET', p .. 'lane:' .. lane, unpack(reaches))
  for i, pair in ipairs(pairs) do
    local id = jobs[i]
    if id then
      local job = redis.call('HMGET', p .. 'job:' .. id, 'state', 'urgent', 'phase', 'streak',
        'missing', 'claimed_by', 'detail', 'tripped')
      local tripped = job[2] and job[8] ~= '0' -- an older version sets none
      if job[1] == 'pending' and tripped and not was_listed(job[3], job[4], job[5]) then
        local due = tonumber(redis.call('ZSCORE', p .. 'due:' .. lane, id) or now)
        local wait = math.max(0, job[6] and 0 or due - now) + LISTS_MS
        return pair, math.max(wait, tonumber(ends[i] or 0) - now), id, job[7] or ''
      end
    end
    local reach = tonumber(ends[i] or 0)
    if reach > now then return pair, reach - now, '', '' end
    if ends[i] then redis.call('HDEL', p .. 'lane:' .. lane, 'reach|' .. pair) end
  end
  return nil
end

-- clearing(p, lane, pairs, now) -> the same, of all lanes of the lane's account
local function clearing(p, lane, pairs, now)
  local first = canon(p, lane)
  for each in string.gmatch(redis.call('HGET', p .. 'lane:' .. first, 'joined') or first, '%S+') do
    local pair, wait, job, detail = clearing_in(p, each, pairs, now)
    if pair then return pair, wait, job, detail end
  end
  return nil
end
