"""Opening a connection: the addresses in turn, an interruption, and a constructor that waits."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from fake_locator import FakeLocator
from fake_service import fake_service
from waiting import eventually

from pyro_events.client.connection.connection import Connection
from pyro_events.client.connection.opener import CLOSED, ConnectionOpener
from pyro_events.client.connection.times import ConnectTimes
from pyro_events.errors import EventServiceError, ServiceUnreachableError

TIMES = ConnectTimes()


def opener(*uris: str) -> tuple[ConnectionOpener, FakeLocator]:
    locator: Any = FakeLocator(*uris)
    return ConnectionOpener(locator), locator


def test_the_first_address_that_answers(free_port: Callable[[], int]) -> None:
    with fake_service() as fake:
        opening, locator = opener(f"PYRO:es@127.0.0.1:{free_port()}", fake.uri, "PYRO:es@192.0.2.1:1")
        connection = opening.open(False, TIMES)
        assert connection.address == fake.uri and locator.good == [fake.uri]
        connection.close()


def test_no_address_that_answers_is_the_last_ones_error(free_port: Callable[[], int]) -> None:
    first, second = free_port(), free_port()
    opening, locator = opener(f"PYRO:es@127.0.0.1:{first}", f"PYRO:es@127.0.0.1:{second}")
    with pytest.raises(ServiceUnreachableError, match=rf"127.0.0.1:{second} .* \(as the name server says\)$"):
        opening.open(True, TIMES)
    assert locator.good == []


def test_an_address_is_good_when_what_prepares_the_connection_is_done() -> None:
    with fake_service() as fake:
        opening, locator = opener(fake.uri)
        prepared: list[tuple[Connection, float]] = []

        def prepare(connection: Connection, deadline: float) -> None:
            assert locator.good == []
            prepared.append((connection, deadline))

        until = time.monotonic() + 60
        connection = opening.open(False, TIMES, until, prepare)
        assert prepared == [(connection, until)] and locator.good == [fake.uri]
        connection.close()


def test_what_else_it_raises_closes_the_connection() -> None:
    with fake_service() as fake:
        opening, locator = opener(fake.uri, fake.uri)

        def prepare(connection: Connection, deadline: float) -> None:
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            opening.open(False, TIMES, None, prepare)
        assert locator.good == [] and fake.next().frame() is None


def test_close_interrupts_an_attempt() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        opening, _ = opener(f"PYRO:es@127.0.0.1:{silent.getsockname()[1]}")
        errors: list[EventServiceError] = []

        def open_it() -> None:
            try:
                opening.open(False, TIMES, time.monotonic() + 60)
            except EventServiceError as error:
                errors.append(error)

        thread = threading.Thread(target=open_it)
        thread.start()
        accepted, _ = silent.accept()
        eventually(lambda: opening._socket is not None)
        opening.close()
        thread.join(20)
        assert len(errors) == 1
        accepted.close()
        # Nor was it asked, on another connection, whether TLS is why that one has ended.
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):
            silent.accept()


def test_nothing_is_opened_after_close() -> None:
    with fake_service() as fake:
        opening, locator = opener(fake.uri)
        opening.close()
        with pytest.raises(EventServiceError, match="its program has called close"):
            opening.open(False, TIMES)
        assert locator.good == [] and CLOSED.endswith("close()")
