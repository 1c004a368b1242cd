"""Connect sockets and resolve host names, in bounded time."""
