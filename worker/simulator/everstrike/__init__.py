"""Everstrike, simulated."""
