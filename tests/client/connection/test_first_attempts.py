"""A client that was just made: how often it tries, and what it says in the end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from fake_locator import FakeLocator
from fake_service import fake_service

from pyro_events.client.connection.current import CurrentConnection
from pyro_events.client.connection.first_attempts import FirstAttempts, connect_first
from pyro_events.client.connection.opener import ConnectionOpener
from pyro_events.client.connection.times import ConnectTimes
from pyro_events.errors import AccessDeniedError, EventServiceError, ServiceUnreachableError

TIMES = ConnectTimes()


def opener(*uris: str) -> tuple[ConnectionOpener, FakeLocator]:
    locator: Any = FakeLocator(*uris)
    return ConnectionOpener(locator), locator


def test_the_pauses_grow_up_to_the_last_and_end_with_the_wait() -> None:
    times = ConnectTimes(first=1.0, first_pause=0.1, last_pause=0.3)
    attempts = FirstAttempts(wait=10.0, delay=0.5, times=times, now=100.0)
    assert attempts.deadline(105.0) == 106.5
    error = ServiceUnreachableError("nobody there")
    assert [attempts.pause_after(error, 101.0) for _ in range(4)] == pytest.approx([0.1, 0.2, 0.3, 0.3])
    assert attempts.pause_after(error, 109.9) == pytest.approx(0.1)
    with pytest.raises(ServiceUnreachableError, match="^nobody there .after waiting 10 s.$"):
        attempts.pause_after(error, 110.0)


def test_what_waiting_cannot_help_is_raised_as_it_is() -> None:
    attempts = FirstAttempts(wait=10.0, delay=0.0, times=TIMES, now=0.0)
    attempts.pause_after(ServiceUnreachableError("nobody there"), 1.0)
    with pytest.raises(AccessDeniedError, match="^denied$"):
        attempts.pause_after(AccessDeniedError("denied"), 2.0)
    only_tls = ServiceUnreachableError("it does not speak TLS")
    only_tls.temporary = False
    with pytest.raises(ServiceUnreachableError):
        attempts.pause_after(only_tls, 2.0)


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
