-- time(p) -> now
-- Shared time, for a caller that has not measured it yet.
return now_ms()
