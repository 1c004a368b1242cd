"""`demo`: the whole story on one machine, no service installed."""
