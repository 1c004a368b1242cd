-- tick(p) -> now
-- Note that a heartbeat of Celery beat has just been run by a worker.
-- Keys: P ticked string ms
local now = now_ms()
redis.call('SET', ARGV[1] .. 'ticked', now)
return now
