"""Exchanges as their profiles describe them."""
