"""Hyperliquid, simulated."""
