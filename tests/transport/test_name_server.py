"""Finding a name server, and what is made of one that is not as it should be."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import Pyro5
import Pyro5.errors
import Pyro5.nameserver
import pytest
import serpent
from fake_name_server import FakeNameServer
from name_servers import port_of, stock_name_server
from Pyro5.core import URI

from pyro_events import (
    ServiceNotFoundError,
)
from pyro_events.transport.name_server import NameServer, UnusableEntryError
from pyro_events.transport.name_server_search import find_name_server
from pyro_events.wire.frames import CONNECT_OK, EXCEPTION, INVOKE, RESULT, SERPENT, write_frame

LOOPBACK = "127.0.0.1"
WANTED = URI("PYRONAME:x")
HERE = URI("PYRO:x@127.0.0.1:1")


def test_the_usual_place() -> None:
    with stock_name_server() as names:
        Pyro5.config.NS_HOST, Pyro5.config.NS_PORT = LOOPBACK, port_of(names)
        names.nameserver.register("x", str(HERE))
        with find_name_server(None, None, None) as found:
            assert found.where == f"{LOOPBACK}:{port_of(names)}"
            assert found.local_host == LOOPBACK
            assert found.find(WANTED, 0) == HERE
            with pytest.raises(Pyro5.errors.NamingError, match="unknown name"):
                found.lookup("y")
            found.register("y", "PYRO:y@127.0.0.1:2")
            assert str(found.lookup("y")) == "PYRO:y@127.0.0.1:2"
            found.remove("y")
            found.remove("y")


@pytest.fixture
def fake() -> Iterator[FakeNameServer]:
    with FakeNameServer() as fake:
        yield fake


def asked(fake: FakeNameServer, seconds: float = 5.0) -> NameServer:
    return NameServer(LOOPBACK, fake.port, None, time.monotonic() + seconds)


GREETING = {"handshake": "hello", "meta": {"methods": ["lookup"], "oneway": [], "attrs": []}}


def greeting(answer: Any = GREETING, kind: int = CONNECT_OK) -> bytes:
    return write_frame(kind, 0, SERPENT, 0, serpent.dumps(answer))


def result(value: Any, flags: int = 0) -> bytes:
    return write_frame(RESULT, flags, SERPENT, 1, serpent.dumps(value))


def error(name: str) -> bytes:
    return result({"__class__": name, "__exception__": True, "args": ("no",), "attributes": {}}, EXCEPTION)


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (error("Pyro5.errors.NamingError"), ServiceNotFoundError, "knows no x"),
        (error("builtins.OSError"), ServiceNotFoundError, "fails: builtins.OSError: no"),
        (result(5, EXCEPTION), ServiceNotFoundError, "fails: None"),
        (result(5), UnusableEntryError, "does not have a URI"),
        (result("nonsense"), UnusableEntryError, "does not have a URI under x: 'nonsense'"),
        (result({"__class__": "Pyro5.core.URI", "state": 1}), UnusableEntryError, "does not have a URI"),
        (result({"__class__": "Pyro5.core.URI"}), UnusableEntryError, "does not have a URI"),
        (write_frame(INVOKE, 0, SERPENT, 1, b"1"), ServiceNotFoundError, "does not answer"),
        (b"", ServiceNotFoundError, "does not answer: it closed the connection"),
    ],
)
def test_answers_that_are_no_address(
    fake: FakeNameServer, answer: bytes, kind: type[Exception], reason: str
) -> None:
    fake.answers = [greeting(), answer]
    with asked(fake) as names, pytest.raises(kind, match=reason) as caught:
        names.find(WANTED, 0)
    assert isinstance(caught.value, ServiceNotFoundError)
    assert caught.value.__cause__ is None
