"""What the clients for asyncio programs have in common."""

from __future__ import annotations

import gc
import pickle
import warnings
from typing import Any

import pytest
from event_loops import run

from pyro_events.aio.async_client import AsyncClient
from pyro_events.client.statistics import PublisherStatistics


class FakeInside:
    """Connections that are open or not."""

    def __init__(self, in_use: bool = False, closed: bool = False, address: str | None = None) -> None:
        self.in_use, self.closed = in_use, closed
        self._address = address
        self.dropped = 0

    def statistics(self) -> PublisherStatistics:
        return PublisherStatistics(0, 0, 0, 0, self.in_use, self._address, "a test")

    def drop(self) -> None:
        self.dropped += 1


class Client(AsyncClient):
    def __init__(self, inside: Any) -> None:
        self._inside = inside


@pytest.mark.parametrize(
    ("inside", "shown"),
    [
        (None, "<aio.Client, not initialised>"),
        (FakeInside(), "<aio.Client 'a test', not connected>"),
        (FakeInside(closed=True, address="PYRO:es@lab:1"), "<aio.Client 'a test' of PYRO:es@lab:1, closed>"),
    ],
)
def test_it_says_what_it_is(inside: Any, shown: str) -> None:
    assert repr(Client(inside)) == shown


def test_one_that_is_dropped_is_released_with_a_warning_if_it_is_in_use() -> None:
    used, unused = FakeInside(in_use=True, address="PYRO:es@lab:1"), FakeInside()
    with pytest.warns(ResourceWarning, match="unclosed <aio.Client 'a test' of PYRO:es@lab:1, connected>"):
        Client(used)
        gc.collect()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Client(unused)
        Client(None)
        gc.collect()
    assert (used.dropped, unused.dropped) == (1, 0)


def test_it_can_be_neither_copied_nor_pickled() -> None:
    with pytest.raises(TypeError, match="a Client can be neither copied nor pickled"):
        pickle.dumps(Client(FakeInside()))


def test_connecting_and_closing_is_for_the_classes_to_say() -> None:
    async def main() -> None:
        for call in (Client(None).connect, Client(None).close):
            with pytest.raises(NotImplementedError):
                await call()

    run(main())
