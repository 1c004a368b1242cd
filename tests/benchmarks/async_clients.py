"""HTTP clients of the asynchronous systems, leanest last."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import aiohttp

from tests.benchmarks.clients import TIMEOUT_S, choose, prove, request_bytes
from tests.benchmarks.signing import PATH, signed

AsyncPost = Callable[[str], Awaitable[None]]


def chosen() -> AsyncPost:
    """Return the client that the environment names."""
    return choose(plain=plain, session=session, lean=lean)


def plain(url: str) -> AsyncPost:
    """Return an aiohttp session a call, as a newcomer writes it."""

    async def post(order_id: str) -> None:
        headers, body = signed(order_id)
        async with (
            aiohttp.ClientSession() as held,
            held.post(url + PATH, data=body, headers=headers) as reply,
        ):
            prove(order_id, await reply.text())

    return post


def session(url: str) -> AsyncPost:
    """Return one aiohttp session a process."""
    held: list[aiohttp.ClientSession] = []

    async def post(order_id: str) -> None:
        if not held:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
            connector = aiohttp.TCPConnector(limit=0)
            held.append(aiohttp.ClientSession(timeout=timeout, connector=connector))
        headers, body = signed(order_id)
        async with held[0].post(url + PATH, data=body, headers=headers) as reply:
            prove(order_id, await reply.text())

    return post


def lean(url: str) -> AsyncPost:
    """Return a pool of raw keep-alive streams that read what this exchange answers."""
    where = urlsplit(url)
    free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(order_id: str) -> None:
        if free:
            reader, writer = free.pop()
        else:
            reader, writer = await asyncio.open_connection(where.hostname, where.port)
        writer.write(request_bytes(where.netloc, order_id))
        prove(order_id, (await reader.read(4_096)).decode())
        free.append((reader, writer))

    return post
