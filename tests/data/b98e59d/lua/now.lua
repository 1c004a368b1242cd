-- now_ms() -> integer: Redis time, Unix ms. Tests put another in its place.
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
