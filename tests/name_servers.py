"""A stock Pyro5 name server in a thread.

Knows: Pyro5's name server. Must not know: which programs ask it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import Pyro5
from Pyro5.nameserver import NameServerDaemon


@contextlib.contextmanager
def stock_name_server(host: str = "127.0.0.1", port: int = 0) -> Iterator[NameServerDaemon]:
    """It answers no broadcasts. Its port is `port_of` it."""
    Pyro5.config.POLLTIMEOUT = 0.05
    with NameServerDaemon(host, port) as daemon:
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        try:
            yield daemon
        finally:
            daemon.shutdown()
            thread.join(10)


def port_of(daemon: NameServerDaemon) -> int:
    """Where it listens."""
    return int(daemon.locationStr.rpartition(":")[2])
