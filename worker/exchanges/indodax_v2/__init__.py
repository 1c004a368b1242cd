"""Indodax, Trade API 2.0."""
