"""All that a strategy imports."""
