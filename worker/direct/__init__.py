"""Direct cancels: one process sends them without Redis and without workers."""
