-- raw_ms() -> integer: the server's own time, Unix ms. Only lib/call asks for it; tests
-- put another in its place.
local function raw_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
