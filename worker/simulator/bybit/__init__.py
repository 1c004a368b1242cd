"""Bybit, v5 API."""
