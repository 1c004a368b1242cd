-- doubt_timer(p, lane, lasts_ms, (id, epoch, synced_ms) * n) -> 1, or 0 if something has moved since
-- The exchange's timer is not as it was set for these switches: where it is, is unknown, and it is
-- set again at once. lasts_ms: when it fires at the latest, by the exchange's word.
-- Keys: see lib/switches
--- @include lib/lanes
--- @include lib/renewals
--- @include lib/switches
local p, lane, lasts = ARGV[1], switch_lane(canon(ARGV[1], ARGV[2])), tonumber(ARGV[3])
local now, switches = now_ms(), {}
for i = 4, #ARGV, 3 do
  local switch = read_switch(p, ARGV[i])
  if not switch or switch.state ~= 'armed' or switch.native == '0' or switch.unsure
    or switch.epoch ~= ARGV[i + 1] or switch.synced_ms ~= ARGV[i + 2] then return 0 end
  switches[#switches + 1] = switch
end
for _, switch in ipairs(switches) do
  switch.unsure, switch.fires_ms, switch.put_off_ms = '1', '0', nil
  switch.lasts_ms = math.max(tonumber(switch.lasts_ms or 0), lasts)
  local key = p .. 'switch:' .. switch.id
  redis.call('HSET', key, 'unsure', 1, 'fires_ms', 0, 'lasts_ms', switch.lasts_ms, 'changed_ms', now)
  redis.call('HDEL', key, 'put_off_ms')
  place_switch(p, switch, now)
end
call_to(p, lane)
reindex(p, lane, now)
return 1
