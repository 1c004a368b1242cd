"""Sockets and host names, in bounded time."""
