"""Deribit, v2 API."""
