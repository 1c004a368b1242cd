-- reserve_ahead(p, member, flight_ms, more, arrived, (rule, max, window_ms, kind, weight) * n)
--   -> wait_ms, granted
-- As `reserve` for an urgent request, where no rule is paced or proven; and while the windows
-- are mostly free, up to `more` grants besides, named <member>:1 and so on.
-- arrived: what is known of earlier grants, see lib/slots. It is recorded first, and also if
-- nothing is granted.
-- Keys: see lib/limits
--- @constants AHEAD_SHARE
--- @include lib/limits
--- @include lib/slots
local p, member, flight, more = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local now, rules = now_ms(), rules_in(ARGV[1], 6, (#ARGV - 5) / 5)

-- room_in(rule) -> how many grants more leave half of a window free, and are few of all
local function room_in(rule)
  local free = math.floor(rule.max / 2) - redis.call('ZCARD', rule.key)
  return math.floor(math.min(free, rule.max / AHEAD_SHARE) / rule.weight)
end

note_arrivals(p, ARGV[5], now)
local wait = reserve_slots(p, { member = member, flight = flight, urgent = true }, rules, now)
if wait > 0 then return { wait, 0 } end
for _, rule in ipairs(rules) do more = math.min(more, room_in(rule)) end
for n = 1, more do take_slots(rules, member .. ':' .. n, flight, now) end
return { 0, math.max(0, more) }
