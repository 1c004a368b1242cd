-- The history of a job: lines of JSON, one an attempt.

-- Bytes of a job's history before its middle is left out: what an outage of hours makes of
-- many jobs would fill Redis. And how much of its begin and of its end stays then.
local HISTORY_MAX, HISTORY_HEAD, HISTORY_TAIL = 4096, 1024, 2048
local LEFT_OUT = '{"detail":"attempts in between are left out"}\n'

-- noted(history, line) -> the history with one more line, each ended by a line feed
local function noted(history, line)
  history = (history or '') .. line .. '\n'
  if #history <= HISTORY_MAX then return history end
  local cut = string.find(history, LEFT_OUT, 1, true)
  local head = cut and string.sub(history, 1, cut - 1)
    or string.match(string.sub(history, 1, HISTORY_HEAD), '^.*\n') or ''
  local tail = string.match(string.sub(history, -HISTORY_TAIL), '^[^\n]*\n(.*)$') or ''
  return head .. LEFT_OUT .. tail
end
