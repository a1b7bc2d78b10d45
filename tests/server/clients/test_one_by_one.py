"""Long results of one host: one after the other, those of others beside them, and none that nobody wants."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from pyro_events.server.clients.one_by_one import OneByOne


class FakeScheduler:
    """Turns that come when the test says so, by address."""

    def __init__(self) -> None:
        self.waiting: dict[str, list[Callable[[], None]]] = {}

    def join(self, address: str, run: Callable[[], None]) -> tuple[str, Callable[[], None]]:
        return address, run

    def leave(self, party: object) -> None:
        """It waits for no turn."""

    def wait(self, party: tuple[str, Callable[[], None]]) -> None:
        self.waiting.setdefault(party[0], []).append(party[1])

    def turn(self, address: str) -> None:
        self.waiting[address].pop(0)()


class Bench:
    """What is made, and what has come of it."""

    def __init__(self) -> None:
        self.scheduler = FakeScheduler()
        self.results = OneByOne(self.scheduler)  # type: ignore[arg-type]
        self.begun: list[str] = []
        self.done: list[str] = []

    def ask(self, name: str, address: str = "192.0.2.1") -> Any:
        def pieces() -> Generator[None, None, str]:
            self.begun.append(name)
            yield
            return name

        result = self.results.begin(address, pieces(), str.upper)
        result.when_done(self.done.append)
        return result


def test_one_host_has_one_at_a_time() -> None:
    bench = Bench()
    for name in ("first", "second", "third"):
        bench.ask(name)
    bench.ask("other", "192.0.2.2")
    assert bench.begun == []
    bench.scheduler.turn("192.0.2.1")
    assert (bench.begun, bench.done) == (["first"], ["FIRST"])
    bench.scheduler.turn("192.0.2.2")
    bench.scheduler.turn("192.0.2.1")
    bench.scheduler.turn("192.0.2.1")
    assert bench.done == ["FIRST", "OTHER", "SECOND", "THIRD"]
    bench.ask("again")
    bench.scheduler.turn("192.0.2.1")
    assert bench.done[-1] == "AGAIN"


def test_what_nobody_wants_is_not_made_and_holds_nobody_up() -> None:
    bench = Bench()
    asked = [bench.ask(name) for name in ("first", "second", "third", "fourth")]
    for unwanted in (asked[0], asked[1], asked[2]):
        unwanted.abandon()
    bench.scheduler.turn("192.0.2.1")  # finds that the first is not wanted
    bench.scheduler.turn("192.0.2.1")
    assert (bench.begun, bench.done) == (["fourth"], ["FOURTH"])


def test_the_last_may_be_abandoned() -> None:
    bench = Bench()
    only = bench.ask("only")
    waiting = bench.ask("waiting")
    waiting.abandon()
    only.abandon()
    bench.scheduler.turn("192.0.2.1")
    bench.ask("new")
    bench.scheduler.turn("192.0.2.1")
    assert bench.done == ["NEW"]
