-- audit(p, entry, kept) -> nothing
-- Add an entry to the audit log, and drop all but the latest so many; see lib/admission.
--- @include lib/admission
audit(ARGV[1], ARGV[2], tonumber(ARGV[3]))
