"""Gate, API v4, simulated: spot and USDT futures."""
