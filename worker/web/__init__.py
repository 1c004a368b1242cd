"""The HTTP API and the control page: a process of its own that holds no exchange secret."""
