"""Binance: spot, USDS-M futures and COIN-M futures."""
