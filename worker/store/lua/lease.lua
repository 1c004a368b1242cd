-- lease(p, name, holder, ttl_ms) -> 1 if the holder has it
-- Take a lease that is free, or keep one that is ours; with ttl_ms 0 give ours up.
-- Keys: P <name> string
local key, holder, ttl = ARGV[1] .. ARGV[2], ARGV[3], ARGV[4]
local owner = redis.call('GET', key)
if owner and owner ~= holder then return 0 end
if tonumber(ttl) > 0 then
  redis.call('SET', key, holder, 'PX', ttl)
  return 1
end
redis.call('DEL', key)
return 0
