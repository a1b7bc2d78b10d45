"""Sockets on an event loop: connects one, and asks a peer whether it speaks TLS.

Knows: names, addresses and non-blocking sockets. Must not know: what is said on a connection, transports, or
what a failure means (transport/failures.py does). transport/connecting.py does the same for programs that
block.

Every wait ends at a deadline on the loop's clock, including the look-up of a host name.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from typing import Any, Final

from ...foreign_exceptions import is_foreign
from ...transport import failures
from ...transport.addresses import UNIX, is_ip_address
from ...transport.failures import ANSWER_SIZE, Trouble
from .waiting import in_thread, in_time

Address = tuple[int, Any]
# What `connect_ex` answers when connecting takes a while.
_UNDER_WAY: Final = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EINTR})


async def connect(host: str, port: int, deadline: float) -> socket.socket:
    """A connected socket. host: may be `./u:path`. Raises OSError whose text says what is wrong."""
    if host.startswith(UNIX):
        return await _connected(socket.AF_UNIX, host[len(UNIX) :], deadline)
    loop = asyncio.get_running_loop()
    failure: OSError = TimeoutError("no connection in time")
    addresses = await _addresses(host, port, deadline)
    for number, (family, address) in enumerate(addresses):
        # The remaining addresses share the remaining time, so that a dead first one does not hide the second.
        now = loop.time()
        try:
            return await _connected(family, address, now + (deadline - now) / (len(addresses) - number))
        except OSError as error:
            if is_foreign(error, OSError):
                raise
            failure = error
    raise failure


async def _addresses(host: str, port: int, deadline: float) -> list[Address]:
    """The families and addresses of a host. Raises OSError, TimeoutError if it takes too long."""

    def resolve() -> list[Address]:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [(family, address) for family, _, _, _, address in found]

    try:
        if is_ip_address(host) or host == "localhost":  # there is nothing to wait for
            return resolve()
        return await in_time(in_thread(resolve), deadline)
    except TimeoutError:
        raise failures.looked_up_too_long(host) from None
    except (OSError, UnicodeError) as error:
        if is_foreign(error, OSError, UnicodeError):
            raise
        raise failures.not_looked_up(host, error) from None


async def _connected(family: int, address: Any, deadline: float) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if family != getattr(socket, "AF_UNIX", None):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await in_time(_connect(sock, address), deadline)
        return sock
    except OSError as error:
        sock.close()
        if is_foreign(error, OSError):
            raise
        raise failures.not_connected(error) from None
    except BaseException:
        sock.close()
        raise


async def _connect(sock: socket.socket, address: Any) -> None:
    """Connect a socket, without a thread.

    uvloop's `sock_connect` looks up every address, even one of digits, in four threads of libuv that stay. A
    child that the program forks later crashes when it ends, because libuv waits for them there too.
    """
    loop = asyncio.get_running_loop()
    if sock.family == getattr(socket, "AF_UNIX", None) or not _watches_sockets(loop):
        await loop.sock_connect(sock, address)
        return
    error = sock.connect_ex(address)
    if error in _UNDER_WAY:
        writable = asyncio.Event()
        loop.add_writer(sock, writable.set)
        try:
            await writable.wait()
        finally:
            loop.remove_writer(sock)
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, os.strerror(error))


def _watches_sockets(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether a loop tells when a socket is ready. Windows' usual one does not, and connects itself."""
    return not hasattr(asyncio, "ProactorEventLoop") or not isinstance(loop, asyncio.ProactorEventLoop)


async def tls_trouble(
    error: BaseException, secured: bool, host: str, port: int, deadline: float
) -> Trouble | None:
    """Whether TLS is the reason why a connected peer did not answer the handshake; None if not.

    secured: whether this side used TLS. Connects once more if that is needed to find out.
    """
    asked = failures.question(error, secured, host)
    until = min(deadline, asyncio.get_running_loop().time() + failures.EXAMINATION)
    answer = await _first_bytes(host, port, asked, until) if asked else b""
    return failures.trouble(error, secured, host, answer)


async def _first_bytes(host: str, port: int, message: bytes, deadline: float) -> bytes:
    """The beginning of a peer's answer to a question; fewer bytes if there is none."""
    loop = asyncio.get_running_loop()
    received = b""

    async def ask(sock: socket.socket) -> None:
        nonlocal received
        await loop.sock_sendall(sock, message)
        while len(received) < ANSWER_SIZE:
            data = await loop.sock_recv(sock, ANSWER_SIZE - len(received))
            if not data:
                break
            received += data

    with contextlib.suppress(OSError), await connect(host, port, deadline) as sock:
        await in_time(ask(sock), deadline)
    return received
