"""Indodax, Trade API 2.0, simulated."""
