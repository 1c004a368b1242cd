-- named(p, lane, name) -> switch id or ''
-- The live switch of the lane's account that has this name.
-- Keys: see lib/switch_names
--- @include lib/switch_names
local switch = named_switch(ARGV[1], ARGV[2], ARGV[3])
return switch and switch.id or ''
