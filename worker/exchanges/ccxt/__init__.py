"""Exchanges that ccxt can sign for: it keeps endpoints and signatures, this package the proof."""
