"""Hyperliquid, perpetuals and spot."""
