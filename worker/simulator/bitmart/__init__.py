"""BitMart, simulated."""
