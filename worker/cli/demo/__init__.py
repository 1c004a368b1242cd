"""`demo`: show the promises on one machine, no service installed."""
