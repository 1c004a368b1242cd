"""Indodax, simulated."""
