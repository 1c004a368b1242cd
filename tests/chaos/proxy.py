"""A TCP proxy in a process of its own, whose links can be made to fail.

Reads `{"links": [{"name", "host", "ports"}, …]}` as its one argument, prints
`{name: doors}`, a door for each port, then obeys one JSON line after another on
standard input, `{"name", "mode", "delay_ms"}`, each answered by a line.

==========  =================================================================
mode        what a link does
==========  =================================================================
`pass`      passes on
`cut`       closes what is open, and whatever is opened, at once
`delay`     holds each piece up for `delay_ms`, either way
`mute`      passes on requests and drops the replies
`hang`      takes everything and passes on nothing
`hold`      keeps what clients send and passes it on once the link is whole
            again, also of clients that have closed their end by then: a
            network that was down, and a kernel that sends again. What a
            client resets is dropped with its connection.
==========  =================================================================

After `mute` and `hang` the connections that lost something are closed, since
what follows would be read as the answer to something else. Connections are
made from the address that the client has, so that who counts by address sees
the same as without the proxy.

A Sentinel names the master by its port: a reply that names a port of the link
names its door instead, so that who asks stays on the link.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import sys
from dataclasses import dataclass, field

CHUNK = 65_536
NAMED = (b"$4\r\nport\r\n$%d\r\n%d\r\n", b"$9\r\n127.0.0.1\r\n$%d\r\n%d\r\n")
"""A port as a Sentinel's replies have it."""


@dataclass
class Link:
    """One link, to one server or several, and the connections over it."""

    name: str
    host: str
    ports: list[int]
    doors: dict[int, int] = field(default_factory=dict)
    """Port of a server → where the link listens for it."""
    mode: str = "pass"
    delay_ms: float = 0.0
    open: set[Pipe] = field(default_factory=set)
    whole: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared while the link holds back what clients send."""

    async def listen(self) -> list[asyncio.Server]:
        """Open a door for each server."""
        self.whole.set()
        servers = []
        for port in self.ports:
            serve = functools.partial(self.serve, port)
            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            self.doors[port] = server.sockets[0].getsockname()[1]
            servers.append(server)
        return servers

    async def serve(
        self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Pass one client's connection on."""
        if self.mode == "cut":
            writer.transport.abort()
            return
        source = writer.get_extra_info("peername")[0]
        try:
            back, forth = await asyncio.open_connection(self.host, port, local_addr=(source, 0))
        except OSError:
            writer.transport.abort()
            return
        pipe = Pipe(self, (writer, forth))
        self.open.add(pipe)
        try:
            await asyncio.gather(pipe.forth(reader, forth), pipe.back(back, writer))
        finally:
            pipe.abort()
            self.open.discard(pipe)

    def told(self, reply: bytes) -> bytes:
        """Return a reply with doors for ports."""
        for port, door in self.doors.items():
            for form in NAMED:
                reply = reply.replace(_named(form, port), _named(form, door))
        return reply

    def turn(self, mode: str, delay_ms: float) -> None:
        """Have the link behave otherwise from now on."""
        self.mode, self.delay_ms = mode, delay_ms
        if mode != "hold":
            self.whole.set()
        else:
            self.whole.clear()
        for pipe in list(self.open):
            if mode == "cut" or pipe.torn:
                pipe.abort()


class Pipe:
    """One connection through a link."""

    def __init__(self, link: Link, ends: tuple[asyncio.StreamWriter, ...]) -> None:
        self._link = link
        self._ends = ends
        self.torn = False
        """Whether something that it took was not passed on."""

    async def forth(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what a client sends, until it closes or resets its end."""
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._link.whole.wait()
                if reader.exception() is not None:
                    break  # reset by now: what was held back is lost
                await self._pass_on(data, writer, reply=False)
            else:
                # Closed in order: what was sent before arrives, as TCP has it.
                writer.write_eof()
                return
        self.abort()

    async def back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what the server sends, until either end closes."""
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._pass_on(data, writer, reply=True)
        self.abort()

    async def _pass_on(self, data: bytes, writer: asyncio.StreamWriter, *, reply: bool) -> None:
        """Pass a piece on, as the link's mode has it."""
        if self._link.mode == "hang" or (reply and self._link.mode == "mute"):
            self.torn = True
        elif self._link.mode == "delay":
            await asyncio.sleep(self._link.delay_ms / 1_000)
        if self.torn:
            return
        writer.write(self._link.told(data) if reply else data)
        await writer.drain()

    def abort(self) -> None:
        """Close both ends at once."""
        for end in self._ends:
            end.transport.abort()


async def main(described: str) -> None:
    """Serve the links until standard input ends."""
    links = {row["name"]: Link(**row) for row in json.loads(described)["links"]}
    servers = [server for link in links.values() for server in await link.listen()]
    _say({link.name: list(link.doors.values()) for link in links.values()})
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        command = json.loads(line)
        links[command["name"]].turn(command["mode"], command["delay_ms"])
        _say("done")
    for server in servers:
        server.close()


def _named(form: bytes, port: int) -> bytes:
    return form % (len(str(port)), port)


def _say(document: object) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
