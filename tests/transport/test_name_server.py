"""The methods of a name server, and what its answers are taken for."""

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
from raising_handler import needs_signals, raising

from pyro_events import (
    ServiceNotFoundError,
)
from pyro_events.transport.name_server import NameServer, UnusableEntryError
from pyro_events.wire.frames import CONNECT_OK, EXCEPTION, INVOKE, RESULT, SERPENT, write_frame

LOOPBACK = "127.0.0.1"
WANTED = URI("PYRONAME:x")
BY_METADATA = URI("PYROMETA:a,b")
HERE = URI("PYRO:x@127.0.0.1:1")


def test_names_are_registered_looked_up_and_removed() -> None:
    with stock_name_server() as names:
        names.nameserver.register("x", str(HERE))
        with NameServer(LOOPBACK, port_of(names), None, time.monotonic() + 20) as found:
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


def described(*state: Any) -> dict[str, Any]:
    """A URI as serpent writes it."""
    return {"__class__": "Pyro5.core.URI", "state": state}


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
        (
            result({"__class__": "Pyro5.core.URI", "state": ["PYRONAME", "x", None, "h", 1]}),
            UnusableEntryError,
            "URI",
        ),
        (
            result("PYRO:x@" + "h" * 70_000 + ":1"),
            UnusableEntryError,
            "does not have a URI under x: 'PYRO:x@h",
        ),
        (result({"__class__": "Pyro5.core.URI"}), UnusableEntryError, "does not have a URI"),
        (write_frame(INVOKE, 0, SERPENT, 1, b"1"), ServiceNotFoundError, "does not answer"),
        (b"", ServiceNotFoundError, "does not answer: it closed the connection"),
    ],
)
def test_answers_that_are_not_an_address(
    fake: FakeNameServer, answer: bytes, kind: type[Exception], reason: str
) -> None:
    fake.answers = [greeting(), answer]
    with asked(fake) as names, pytest.raises(kind, match=reason) as caught:
        names.find(WANTED, 0)
    assert isinstance(caught.value, ServiceNotFoundError)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("value", "uri"),
    [
        ("PYRO:x@127.0.0.1:1", "PYRO:x@127.0.0.1:1"),
        (described("PYRO", "x", None, "::1", 1), "PYRO:x@[::1]:1"),
        (described("PYRO", "x", "/names", None, None), "PYRO:x@./u:/names"),
    ],
)
def test_answers_that_are_an_address(fake: FakeNameServer, value: Any, uri: str) -> None:
    fake.answers = [greeting(), result(value), result({"any": value})]
    with asked(fake) as names:
        assert names.find(WANTED, 0) == URI(uri)
        assert names.find(BY_METADATA, 0) == URI(uri)


@pytest.mark.parametrize("value", [{}, None, 5])
def test_metadata_that_nobody_has(fake: FakeNameServer, value: Any) -> None:
    fake.answers = [greeting(), result(value)]
    with (
        asked(fake) as names,
        pytest.raises(ServiceNotFoundError, match="knows no .* metadata a, b;"),
    ):
        names.find(BY_METADATA, 0)


def test_a_name_is_asked_for_again_with_patience(fake: FakeNameServer) -> None:
    unknown = error("Pyro5.errors.NamingError")
    fake.answers = [greeting(), unknown, unknown, result(str(HERE))]
    with asked(fake) as names:
        deadline = names.deadline
        assert names.find(WANTED, 60) == HERE
        assert names.deadline == deadline + 60


@needs_signals
def test_what_a_signals_handler_raises_comes_through(
    fake: FakeNameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.answers = [greeting(), result(str(HERE))]
    enough = ValueError("enough")
    with asked(fake) as names, raising(enough) as interrupt, monkeypatch.context() as patch:
        patch.setattr("Pyro5.core.URI", interrupt)
        with pytest.raises(ValueError) as caught:
            names.lookup("x")
    assert caught.value is enough
