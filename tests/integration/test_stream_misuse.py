"""Streams in programs that do everything at once: threads, signals, forks, and an end at any moment (C33)."""

from __future__ import annotations

import os
import random
import select
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contract import account, in_background, running, statistics
from processes import Spawner
from waiting import eventually

from pyro_events import EventServiceError, EventServiceStarter, EventStream, Publisher

PROGRAM = Path(__file__).parent / "programs" / "interrupted_stream.py"


@pytest.fixture
def publisher(service: EventServiceStarter) -> Iterator[Publisher]:
    with Publisher(es_uri=service.uri) as publisher:
        yield publisher


def in_step(lines: list[str]) -> list[int]:
    """The messages that a program printed. Every event comes once and in order, and what is missing was taken
    by an interruption, or is announced."""
    messages: list[int] = []
    last = 0
    for line in lines:
        seq, missed, message, raised = line.split()[1:]
        if missed == "None":
            last = 0  # it has connected again
        gap = int(seq) - last - 1 - (0 if missed == "None" else int(missed))
        # An exception may come after an event was taken, and before the program has it. Then the event that
        # says that the stream has connected again may be the one.
        assert 0 <= gap <= int(raised) or (int(raised) and int(seq) <= 1 + int(raised)), line
        last = int(seq)
        if message != "end":
            messages.append(int(message))
    assert messages == sorted(set(messages))
    return messages


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers here")
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("mode", "seed"), [("get", 1), ("iterate", 2), ("select", 3)])
def test_a_storm_of_signals(
    service: EventServiceStarter, publisher: Publisher, spawn: Spawner, mode: str, seed: int
) -> None:
    chance = random.Random(seed)
    program = spawn(str(PROGRAM), service.uri, "A", str(seed), "2", mode, ready="ready")
    number = 0
    while "quiet" not in program.stdout and program.returncode is None:
        for _ in range(chance.choice((1, 1, 2, 50))):
            publisher.publish("A", number, timeout=20)
            number += 1
        threading.Event().wait(chance.random() / 200)
    eventually(lambda: publisher.publish("A", "end"))
    program.wait_for("^end$")
    assert program.wait() == 0 and program.stderr == ""
    lines = [line for line in program.stdout.splitlines() if line.startswith("event")]
    got = in_step(lines)
    assert sum(int(line.split()[4]) for line in lines) > 50  # it was interrupted
    assert len(got) > 50


def test_ten_thousand_time_limits_in_eight_threads(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    """Each event comes to one thread, whatever the others wait for; and they are taken in order."""
    got: list[int] = []
    with EventStream("A", es_uri=service.uri) as events:

        def take(seed: int) -> list[int]:
            chance, mine = random.Random(seed), []
            for _ in range(1250):
                try:
                    mine.append(events.get(timeout=chance.choice((0, 0, 0.0001, 0.001, 0.003))).msg)
                except TimeoutError:
                    continue
            return mine

        threads = [in_background(lambda seed=seed: take(seed)) for seed in range(8)]  # type: ignore[misc]
        number = 0
        while not all(each.done for each in threads):
            publisher.publish("A", number)
            number += 1
        for each in threads:
            mine = each.result(60)
            assert mine == sorted(mine)
            got += mine
        while len(got) < number:
            got.append(events.get(timeout=10).msg)
        assert sorted(got) == list(range(number))
        found = eventually(lambda: (one := _account(service, events)) and not one["unacknowledged"] and one)
        assert found["delivered"] == number and events.statistics().taken == number


def _account(service: EventServiceStarter, events: EventStream) -> dict[str, Any] | None:
    return account(service.uri, f"OWN:{events.statistics().id}@127.0.0.1")


def test_closed_at_any_moment_by_another_thread(service: EventServiceStarter) -> None:
    """Nothing that a thread does then takes long, or raises anything else than that the stream is closed."""
    chance = random.Random(5)
    over = threading.Event()

    def talk() -> None:
        with Publisher(es_uri=service.uri) as publisher:
            while not over.wait(0.0005):
                publisher.publish("A", bytes(chance.choice((1, 100, 200_000))))

    talking = in_background(talk)
    try:
        for round_number in range(40):
            events = EventStream("A", es_uri=service.uri, overflow="drop-oldest", backlog=20)
            uses = [
                lambda events=events: list(events),
                lambda events=events: [events.get() for _ in range(10**9)],
                lambda events=events: [_polled(events) for _ in range(10**9)],
                lambda events=events: [
                    (events.subscribe(f"B{number}"), events.unsubscribe(f"B{number}"))
                    for number in range(10**9)
                ],
            ]
            using = [in_background(use) for use in uses[: 2 + round_number % 3]]
            threading.Event().wait(chance.random() / 50)
            began = time.monotonic()
            events.close()
            for number, each in enumerate(using):
                if number:
                    with pytest.raises(EventServiceError, match="closed|close"):
                        each.result()
                else:
                    each.result()
            assert time.monotonic() - began < 10
    finally:
        over.set()
        talking.result()
    eventually(lambda: not statistics(service.uri)["subscribers"])


def _polled(events: EventStream) -> None:
    select.select([events.fileno()], [], [], 0.01)
    try:
        events.get(timeout=0)
    except TimeoutError:
        return


@pytest.mark.parametrize("seed", range(3))
def test_a_loop_that_waits_for_the_descriptor_misses_nothing(
    service: EventServiceStarter, publisher: Publisher, seed: int
) -> None:
    """However many it takes each time: the descriptor is readable as long as there is one."""
    chance, count = random.Random(seed), 3000

    def talk() -> None:
        sent = 0
        while sent < count:
            for _ in range(min(chance.choice((1, 1, 1, 2, 3, 100)), count - sent)):
                publisher.publish("A", sent)
                sent += 1
            threading.Event().wait(chance.choice((0, 0, 0.0002, 0.002)))

    with EventStream(
        "A", es_uri=service.uri, overflow=chance.choice(("block", "block", "drop-oldest"))
    ) as events:
        talking, got, idle = in_background(talk), [], 0
        choose = random.Random(seed + 100)
        while len(got) < count:
            found, _, _ = select.select([events], [], [], 10)
            assert found, f"missed after {len(got)} events"
            taken = 0
            for _ in range(choose.choice((1, 2, 5, 1000))):
                try:
                    got.append(events.get(timeout=0).msg)
                    taken += 1
                except TimeoutError:
                    break
            idle += not taken
        talking.result()
        assert got == list(range(count))
        # Nor is it readable for nothing, again and again. It may be for a moment, while the thread that reads
        # has to wait for a processor.
        assert idle < count
        assert not select.select([events], [], [], 0)[0]


FORKS = """
import os, random, sys, threading
from pyro_events import EventServiceError, EventStream

chance = random.Random(4)
events = EventStream("A", es_uri=sys.argv[1])
events.fileno()
got = []
def take():
    for event in events:
        got.append(event.msg)
        if event.msg == "end":
            return
thread = threading.Thread(target=take)
thread.start()
print("ready", flush=True)
for _ in range(40):
    threading.Event().wait(chance.random() / 30)
    child = os.fork()
    if not child:
        code = 1
        try:
            try:
                events.get(timeout=5)
            except EventServiceError:
                code = 0
            events.close()
            if chance.random() < 0.5:
                EventStream("B", es_uri=sys.argv[1]).close()
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
print("forked", flush=True)
thread.join()
assert got[:-1] == list(range(len(got) - 1)), got
assert events.statistics().reconnects == 0
events.close()
print("done", flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forks_at_any_moment(service: EventServiceStarter, publisher: Publisher, spawn: Spawner) -> None:
    program = spawn("-c", FORKS, service.uri, ready="ready")
    number = 0
    while "forked" not in program.stdout and program.returncode is None:
        publisher.publish("A", number)
        number += 1
    publisher.publish("A", "end")
    program.wait_for("^done")
    assert program.wait() == 0 and program.stderr == ""


ENDS = {
    "with it open": "",
    "while a thread waits": "threading.Thread(target=events.get, daemon=True).start(); time.sleep(0.05)",
    "while a thread iterates": "threading.Thread(target=lambda: list(events), daemon=True).start()",
    "with its descriptor in use": "events.fileno()",
    # At the end of the interpreter its threads stop anywhere, also there.
    "while its thread holds a lock": (
        "from pyro_events.client.stream.watcher import shared\n"
        "threading.Thread(target=lambda: (shared._lock.acquire(), time.sleep(60)), daemon=True).start()\n"
        "time.sleep(0.2)"
    ),
    "with sys.exit in a loop": "events.subscribe('B'); sys.exit(0)",
    "in a cycle": "events.itself = events; cycle = [events]; cycle.append(cycle); del events, cycle",
}


@pytest.mark.parametrize("how", ENDS)
def test_a_program_that_ends(service: EventServiceStarter, spawn: Spawner, how: str) -> None:
    code = f"""
import sys, threading, time
from pyro_events import EventStream
events = EventStream("A", es_uri=sys.argv[1])
{ENDS[how]}
"""
    program = spawn("-c", code, service.uri)
    assert program.wait(20) == 0
    assert program.stderr == ""
    eventually(lambda: not statistics(service.uri)["subscribers"])


def test_a_frozen_program_is_found_by_its_heartbeats(spawn: Spawner) -> None:
    code = (
        "import sys; from pyro_events import EventStream\nfor event in EventStream('A', es_uri=sys.argv[1]):"
    )
    code += "\n  print(event.seq, event.missed, event.msg, flush=True)"
    with running(heartbeat=0.3, heartbeat_answer=0.3) as service, Publisher(es_uri=service.uri) as publisher:
        program = spawn("-c", code, service.uri)
        eventually(lambda: publisher.publish("A", 1))
        program.wait_for("^1 0 1$")
        # There is no heartbeat while an event is unacknowledged: it may be handled for minutes.
        eventually(lambda: statistics(service.uri)["delivered"] == 1)
        program.send(signal.SIGSTOP)
        eventually(lambda: not statistics(service.uri)["subscribers"])
        program.send(signal.SIGCONT)
        eventually(lambda: publisher.publish("A", 2))
        program.wait_for("^1 None 2$")
        program.send(signal.SIGKILL)
        assert program.wait() == -signal.SIGKILL
        assert "Traceback" not in program.stderr
