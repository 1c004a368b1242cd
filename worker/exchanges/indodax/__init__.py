"""Indodax, legacy API."""
