"""BitMart v2."""
