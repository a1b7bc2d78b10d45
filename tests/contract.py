"""The common parts of the contract's tests: services with short times, and the accounts in their statistics.

Knows: the public API and statistics(). Must not know: any single line of the contract.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

from Pyro5.api import Proxy
from raw_client import raw_client

from pyro_events import EventServiceStarter
from pyro_events.options import BacklogOptions, Overflow, ServiceOptions


@contextlib.contextmanager
def running(
    *, backlog: int = 100, overflow: str = "block", backlog_bytes: int = 1 << 20, **options: Any
) -> Iterator[EventServiceStarter]:
    """A service on a free port, known to no name server. options: as for ServiceOptions."""
    bounds = BacklogOptions(backlog, backlog_bytes, Overflow(overflow))
    wanted = ServiceOptions(backlog=bounds, **options)
    with EventServiceStarter(host="127.0.0.1", port=0, use_ns=False, options=wanted) as starter:
        yield starter


def subscribe(uri: str, subscriber: str, subjects: Any, **options: Any) -> None:
    """Subscribe the object with that URI, as a stock client would."""
    with Proxy(uri) as es:
        es.subscribe(subjects, subscriber, options or None)


def statistics(uri: str) -> dict[str, Any]:
    """The service's statistics(), checked: accepted = delivered + lost + waiting, for each and in all."""
    with raw_client(uri) as client:
        snapshot: dict[str, Any] = client.call("statistics")
    lost = sum(snapshot["lost"].values())
    assert snapshot["accepted"] == snapshot["delivered"] + lost + snapshot["waiting"], snapshot
    for one in snapshot["subscribers"]:
        waiting = one["backlog"] + one["unacknowledged"]
        assert one["accepted"] == one["delivered"] + sum(one["lost"].values()) + waiting, one
    return snapshot


def account(uri: str, subscriber: str) -> dict[str, Any] | None:
    """What statistics() says of one subscriber, None when it is not known."""
    for one in statistics(uri)["subscribers"]:
        if one["subscriber"] == subscriber:
            found: dict[str, Any] = one
            return found
    return None


class Background:
    """A call in a thread of its own."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._result: Future[Any] = Future()
        self._work = work
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result.set_result(self._work())
        except BaseException as error:
            self._result.set_exception(error)

    @property
    def done(self) -> bool:
        return self._result.done()

    def result(self, timeout: float = 20.0) -> Any:
        """Its result, or its exception, when it has ended."""
        try:
            return self._result.result(timeout)
        finally:
            if self._result.done():
                self._thread.join()


def in_background(work: Callable[[], Any]) -> Background:
    """Begin to do `work` in a thread; the test must ask for its result."""
    return Background(work)
