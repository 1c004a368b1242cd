-- read_turn(p, lane, every_ms, always) -> {}, or now, fires, way, its pairs, (id, epoch, synced_ms) * n
-- Whether the exchange's timer of an account is to be read now, by the caller alone: it was not
-- for every_ms, and there is something to compare. fires: when it was set to fire, at the earliest;
-- way: how much later it may; the switches that it serves. Nothing while a request is under way,
-- or its end is not known. With always 1 also without a switch: fires is 0 then.
-- Keys: see lib/switches; P lane:<lane>:switch hash  read_ms, timer_list (what the last request named)
--- @include lib/lanes
--- @include lib/switches
local p, every, always = ARGV[1], tonumber(ARGV[3]), ARGV[4] == '1'
local lane, now = switch_lane(canon(p, ARGV[2])), now_ms()
local key = p .. 'lane:' .. lane
local known = redis.call('HMGET', key, 'read_ms', 'timer_list')
if tonumber(known[1] or 0) + every > now then return {} end
local fires, way, members = math.huge, 0, {}
for _, id in ipairs(redis.call('ZRANGE', p .. 'ends:' .. lane, 0, LOOK_MAX - 1)) do
  local switch = read_switch(p, id)
  if switch and switch.state == 'armed' and switch.native ~= '0' then
    if switch.unsure and not always then return {} end
    if not switch.unsure and tonumber(switch.fires_ms or 0) > 0 then
      fires, way = math.min(fires, tonumber(switch.fires_ms)), math.max(way, tonumber(switch.way_ms or 0))
      for _, value in ipairs({ id, switch.epoch, switch.synced_ms }) do members[#members + 1] = value end
    end
  end
end
if not members[1] and not always then return {} end
redis.call('HSET', key, 'read_ms', now)
return { now, members[1] and fires or 0, way, known[2] or '', unpack(members) }
