-- accept_admitted(p, digest, record, interval_ms, burst, entry, kept, <as accept from follows on>)
--   -> as accept, or 'refused'
-- Record jobs for a client whose token is known to the caller: admit the call, accept its jobs
-- and add it to the audit log, in one step. If the token is no longer as in record, or makes too
-- many calls, nothing is done.
--- @include lib/acceptance
--- @include lib/admission
local p = ARGV[1]
local record, wait = admit(p, ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5]))
if record ~= ARGV[3] or wait > 0 then return { 'refused' } end
local answer = accept_jobs(p, 8)
audit(p, ARGV[6], tonumber(ARGV[7]))
return answer
