-- A job's places in the indexes of its lane.
-- Keys:
--   P job:<id>       hash  the job; see model/jobs.py
--   P due:<lane>     zset  job id -> ms at which it is due (a claim moves it on)
--   P urgent:<lane>  zset  the same of urgent jobs that are not doubtful; see lib/turns
--   P doubtful:<lane> zset the same of doubtful jobs; see lib/turns
--   P named:<lane>   list  ids of single jobs, which go ahead of those due before them where
--                          no bell names them; the next one is the last
--   P vain:<lane>    zset  job that has been attempted without a proof -> ms of its first attempt
--   P asked:<lane>   zset  see lib/access
--   P pending:<lane> hash  dedup field -> job id
--   P pairs:<lane>   set   pairs that a list of the account has shown
--   P astray         zset  "<lane> <id>" of what was due there without a record -> ms from
--                          which a person is to be alerted; inf once that is done

-- What else there is, is a newer version's, and left to its workers.
local KINDS = { cancel = true, cancel_all = true }
-- Leases of urgent jobs: short at first, so that a worker's death costs little.
local URGENT_LEASE_MS = 1800

-- order_name(job) -> the name of its order, '' for a whole scope. One named by its client's
-- id is another than one with the same text as the exchange's id, which holds no space. A
-- scope is also named by the prefix of its orders' client ids.
local function order_name(job)
  local client, prefix = job.client_order_id, job.client_id_prefix
  if client and client ~= '' then return 'client ' .. client end
  if prefix and prefix ~= '' then return 'prefix ' .. prefix end
  if job.stop and job.stop ~= '' then return 'stop ' .. job.order_id end
  return job.order_id or ''
end

-- order_field(kind, pair, side, name) -> what the order is called in
-- P pending:<lane>. The name comes last: it alone may hold a '|'.
local function order_field(kind, pair, side, name)
  return kind .. '|' .. pair .. '|' .. side .. '|' .. name
end

-- job_field(job) -> the same of a job's fields
local function job_field(job)
  return order_field(job.kind or '', job.pair or '', job.side or '', order_name(job))
end

-- was_listed(phase, streak, missing) -> whether a cancel-all has had a complete list of its scope,
-- by these fields of its record. `streak` is then the attempts in a row with the same outcome
-- as a negative number, or 0; or `missing` is 1 for a scope that was empty.
local function was_listed(phase, streak, missing)
  return phase == 'stops_left' or phase == 'list' and (tonumber(streak or 1) <= 0 or missing == '1')
end

-- scope_item(pair, prefix) -> what a switch calls a pair ('' or nil for all), of which a prefix of client
-- order ids covers a part; see model/switch_scopes.py
local function scope_item(pair, prefix)
  if not prefix or prefix == '' then return pair end
  local coded = string.gsub(prefix, '.', function(char) return string.format('%02x', string.byte(char)) end)
  return ((pair or '') == '' and '*' or pair) .. '~' .. coded
end

-- read_item(item) -> its pair, its prefix; each '' if there is none
local function read_item(item)
  local pair, coded = string.match(item, '^([^~]+)~(%x+)$')
  if not pair then return item == '*' and '' or item, '' end
  local prefix = string.gsub(coded, '%x%x', function(code) return string.char(tonumber(code, 16)) end)
  return pair == '*' and '' or pair, prefix
end

-- item_field(item) -> what the cancel-all of it is called in P pending:<lane>
local function item_field(item)
  local pair, prefix = read_item(item)
  return job_field({ kind = 'cancel_all', pair = pair, client_id_prefix = prefix })
end

-- place_job(p, lane, id, at, urgent, doubtful), drop_job(p, lane, id, urgent): when a worker
-- must serve it; of which class it is says lib/turns.
local function place_job(p, lane, id, at, urgent, doubtful)
  redis.call('ZADD', p .. 'due:' .. lane, at, id)
  if doubtful then redis.call('ZADD', p .. 'doubtful:' .. lane, at, id)
  elseif urgent then redis.call('ZADD', p .. 'urgent:' .. lane, at, id) end
end

local function drop_job(p, lane, id, urgent)
  redis.call('ZREM', p .. 'due:' .. lane, id)
  redis.call('ZREM', p .. 'vain:' .. lane, id)
  redis.call('ZREM', p .. 'doubtful:' .. lane, id)
  if urgent then redis.call('ZREM', p .. 'urgent:' .. lane, id) end
end

-- set_aside(p, lane, id, now): what is due without a record is moved out of the way, and kept.
local function set_aside(p, lane, id, now)
  for _, index in ipairs({ 'due:', 'urgent:', 'doubtful:', 'vain:', 'ends:', 'asked:' }) do
    redis.call('ZREM', p .. index .. lane, id)
  end
  redis.call('ZREM', p .. 'ends:' .. lane .. ':workers', id)
  redis.call('ZADD', p .. 'astray', now, lane .. ' ' .. id)
end

-- name_job(p, lane, id) -> whether it could be named: who claims in the lane finds it
-- next. Not by users whose rights are of a version that had no names.
local function name_job(p, lane, id)
  return type(redis.pcall('LPUSH', p .. 'named:' .. lane, id)) == 'number'
end

-- unclaim(p, lane, id, job): nothing was attempted. The job is due as it was before its claim,
-- which counts for nothing; a single one is the next. job: attempts, due_ms, urgent, single, doubtful
local function unclaim(p, lane, id, job)
  local key, made = p .. 'job:' .. id, tonumber(job.attempts) - 1
  redis.call('HDEL', key, 'claimed_by', 'claimed_ms', made == 0 and 'first_ms' or 'claimed_by')
  redis.call('HSET', key, 'attempts', made)
  place_job(p, lane, id, job.due_ms, job.urgent, job.doubtful)
  if job.single and not job.doubtful then redis.call('RPUSH', p .. 'named:' .. lane, id) end
end
