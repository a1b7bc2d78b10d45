"""Opening a connection: the addresses in turn, an interruption, and a constructor that waits."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import Pyro5.core
import pytest
from fake_service import fake_service
from waiting import eventually

from pyro_events.client.connection.current import CurrentConnection
from pyro_events.client.connection.opener import CLOSED, ConnectionOpener, connect_first
from pyro_events.client.connection.times import ConnectTimes
from pyro_events.errors import EventServiceError, ServiceUnreachableError

TIMES = ConnectTimes()


class FakeLocator:
    """Names the addresses that the test gives; `later` has those for the attempt of that number."""

    identity = None
    name = "a test"
    delay = 0.0

    def __init__(self, *uris: str) -> None:
        self.uris = uris
        self.good: list[str] = []
        self.asked = 0
        self.later: dict[int, str] = {}

    def candidates(self, quick: bool) -> list[Pyro5.core.URI]:
        self.asked += 1
        if self.asked in self.later:
            return [Pyro5.core.URI(self.later[self.asked])]
        return [Pyro5.core.URI(uri) for uri in self.uris]

    def source(self, uri: Pyro5.core.URI) -> str:
        return " (as the name server says)"

    def was_good(self, uri: Pyro5.core.URI) -> None:
        self.good.append(str(uri))


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


def test_nothing_is_opened_after_close() -> None:
    with fake_service() as fake:
        opening, locator = opener(fake.uri)
        opening.close()
        with pytest.raises(EventServiceError, match="its program has called close"):
            opening.open(False, TIMES)
        assert locator.good == [] and CLOSED.endswith("close()")


# `connect_first` tells our errors from those of a handler in the middle of it by where they come from, so the
# attempts here are real ones.


def test_a_constructor_tries_once_without_wait(free_port: Callable[[], int]) -> None:
    opening, locator = opener(f"PYRO:es@127.0.0.1:{free_port()}")
    with pytest.raises(ServiceUnreachableError, match="as the name server says.$"):
        connect_first(partial(opening.open, False, TIMES), wait=0.0, delay=0.0, times=TIMES)
    assert locator.asked == 1


def test_a_constructor_that_waits_tries_until_it_succeeds(free_port: Callable[[], int]) -> None:
    with fake_service() as fake:
        _, locator = opener(f"PYRO:es@127.0.0.1:{free_port()}")
        locator.later = {3: fake.uri}
        current = CurrentConnection(locator, TIMES)  # type: ignore[arg-type]
        connect_first(partial(current.reopen, False), wait=60.0, delay=0.0, times=TIMES)
        assert locator.asked == 3 and locator.good == [fake.uri]
        current.close()


def test_what_waiting_cannot_help_is_raised_at_once() -> None:
    with fake_service() as fake:
        opening, locator = opener(fake.uri)
        opening.close()
        with pytest.raises(EventServiceError, match="has called close"):
            connect_first(partial(opening.open, False, TIMES), wait=60.0, delay=0.0, times=TIMES)
        assert locator.asked == 1


def test_an_error_of_the_programs_own_passes() -> None:
    def attempt(deadline: float) -> None:
        raise ServiceUnreachableError("of a signal's handler")

    with pytest.raises(ServiceUnreachableError, match="^of a signal's handler$"):
        connect_first(attempt, wait=60.0, delay=0.0, times=TIMES)


def test_it_says_how_long_it_has_waited(free_port: Callable[[], int]) -> None:
    opening, locator = opener(f"PYRO:es@127.0.0.1:{free_port()}")
    with pytest.raises(ServiceUnreachableError, match=r" \(after waiting 0.05 s\)$"):
        connect_first(partial(opening.open, False, TIMES), wait=0.05, delay=0.0, times=TIMES)
    assert locator.asked > 1
