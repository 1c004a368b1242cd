"""The emergency path: cancels without Redis, by one process."""
