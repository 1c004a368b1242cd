"""Gate, API v4: spot and USDT futures."""
