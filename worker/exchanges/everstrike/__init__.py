"""Everstrike."""
