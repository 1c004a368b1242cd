-- pairs(p, lane, name * n) -> ms at which the list was fetched (0: never), now, found * n ('' for none)
-- Look names up in the list of pairs of the exchange that holds a lane's account.
-- Keys:
--   P lane:<lane>    hash  listed: which list is the lane's
--   P listed:<list>  hash  name with its mark (see model/pairs.py) -> pair, and after a space its
--                          asset id if there is one; !at: when it was fetched, by shared time;
--                          !wanted: since when one that is newer is asked for
local p, lane = ARGV[1], ARGV[2]
local answer = { 0, now_ms() }
local at = redis.pcall('HGET', p .. 'lane:' .. lane, 'listed')
-- Users whose rights are of an older version may not read it: then nothing is known.
local row = type(at) == 'string' and redis.pcall('HMGET', p .. 'listed:' .. at, '!at', unpack(ARGV, 3, #ARGV))
if row and not row.err then answer[1] = math.floor(tonumber(row[1] or 0)) end
for i = 3, #ARGV do answer[i] = row and not row.err and row[i - 1] or '' end
return answer
