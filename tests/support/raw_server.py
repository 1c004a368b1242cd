"""A server of raw bytes, that answers as no server should."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

END = b"\r\n\r\n"
CHUNK = 65_536


class Gone(Exception):
    """The client has closed the connection."""


class Peer:
    """One connection, from the server's side.

    Attributes:
        number: 1 for the first connection of the server.
    """

    def __init__(self, sock: socket.socket, number: int, stopping: threading.Event) -> None:
        self.sock = sock
        self.number = number
        self.stopping = stopping
        self._unread = b""

    def request(self) -> bytes:
        """Read one request, head and body, as its bytes.

        Raises:
            Gone: The client closed instead.
        """
        while END not in self._unread:
            self._receive()
        head, _, rest = self._unread.partition(END)
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        self._unread = rest
        while len(self._unread) < length:
            self._receive()
        body, self._unread = self._unread[:length], self._unread[length:]
        return head + END + body

    def send(self, data: bytes) -> None:
        """Send."""
        self.sock.sendall(data)

    def drip(self, data: bytes, pause_ms: float = 20) -> None:
        """Send byte by byte, slowly, until the client or the test has had enough."""
        for at in range(len(data)):
            self.send(data[at : at + 1])
            if self.stopping.wait(pause_ms / 1_000):
                return

    def flood(self, data: bytes) -> None:
        """Send the same for ever, until the client or the test has had enough."""
        while not self.stopping.is_set():
            self.send(data)

    def hold(self) -> None:
        """Keep the connection open, in silence, until the test ends."""
        self.stopping.wait()

    def _receive(self) -> None:
        data = self.sock.recv(CHUNK)
        if not data:
            raise Gone
        self._unread += data


Act = Callable[[Peer], None]


class Server:
    """Runs `act` on each connection, in a thread of its own.

    Args:
        act: What to do with a connection; it is closed afterwards.
        tls: For a server that speaks TLS.
        host: Address to listen on.
        port: Port to listen on; 0 for any that is free.

    Attributes:
        requests: What was read, in order, from all connections.
        sources: The client's address of each connection.
    """

    def __init__(
        self,
        act: Act,
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._act = act
        self._tls = tls
        self._host = host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family)
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.sources: list[str] = []
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._socks: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}/path?q=1"

    @property
    def connections(self) -> int:
        """How many connections were accepted."""
        return len(self.sources)

    def __enter__(self) -> Self:
        """Start."""
        self._spawn(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, and close everything."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            socks = self._socks[:]
        for sock in socks:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _spawn(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, source = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._socks.append(sock)
                self.sources.append(source[0])
                number = len(self.sources)
            self._spawn(self._serve, sock, number)

    def _serve(self, sock: socket.socket, number: int) -> None:
        with contextlib.closing(sock), contextlib.suppress(OSError, Gone, ssl.SSLError):
            if self._tls is None:
                self._act(_Recorded(sock, number, self._stopping, self.requests))
                return
            with self._tls.wrap_socket(sock, server_side=True) as secure:
                with self._lock:
                    self._socks.append(secure)
                self._act(_Recorded(secure, number, self._stopping, self.requests))


class _Recorded(Peer):
    def __init__(
        self,
        sock: socket.socket,
        number: int,
        stopping: threading.Event,
        requests: list[bytes],
    ) -> None:
        super().__init__(sock, number, stopping)
        self._requests = requests

    def request(self) -> bytes:
        """Read one request, and note it."""
        data = super().request()
        self._requests.append(data)
        return data


def reply(body: bytes = b"{}", *, status: str = "200 OK", headers: str = "") -> bytes:
    """Return a whole reply."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def forever(peer: Peer) -> None:
    """Answer every request of a connection."""
    while True:
        peer.request()
        peer.send(reply())


@contextlib.contextmanager
def full_listener() -> Iterator[int]:
    """Listen on a port whose queue is full: connecting to it takes for ever."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        for _ in range(4):
            sock = stack.enter_context(socket.socket())
            sock.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                sock.connect(("127.0.0.1", port))
        yield port
