-- claim(p, digest, exchange, lane, id, holder, lease_ms, limit, back_ms) -> now, unregistered, tended, more, job * n
-- Lease due jobs to `holder` by moving their due time on. With a lane and an id
-- that job, with a lane its earliest, with neither any of the exchange's lanes
-- in turn. `unregistered` names a due lane that the claimant
-- has not registered, or ''.
-- `tended` names a lane of switches that the holder now holds, or ''. more: 1 if the
-- lane has others due that may be claimed, or more to be done.
-- Keys: see lib/lanes
--- @include lib/claims
--- @include lib/lanes
local p, lane, now = ARGV[1], ARGV[4], now_ms()
local claim = { digest = ARGV[2], exchange = ARGV[3], holder = ARGV[6], lease = tonumber(ARGV[7]),
  limit = tonumber(ARGV[8]), back = tonumber(ARGV[9]), now = now }
local jobs, unregistered, tended, more
if is_switch_lane(lane) then
  local held
  held, more = claim_switches(p, claim, lane)
  jobs, tended = {}, held and lane or ''
  unregistered = held == nil and lane or ''
elseif lane == '' then
  jobs, unregistered, tended, more = claim_any(p, claim)
else
  jobs, more = claim_in(p, claim, lane, ARGV[5])
  unregistered = jobs and '' or lane
  if jobs and #jobs == 0 then not_back(p, lane, claim.holder) end
end
local answer = { now, unregistered, tended or '', more and 1 or 0 }
for _, job in ipairs(jobs or {}) do answer[#answer + 1] = job end
return answer
