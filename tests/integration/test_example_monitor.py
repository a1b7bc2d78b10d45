"""examples/monitor: what it shows while others come and go, and when the service stops and is back."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from fake_subscriber import fake_subscriber
from processes import Spawner

from pyro_events import Event, Publisher

TIME = r"^\d\d:\d\d:\d\d "


@pytest.fixture
def program(root: Path) -> Path:
    return root / "examples" / "monitor" / "monitor.py"


@pytest.fixture
def monitor(program: Path) -> ModuleType:
    """The program as a module."""
    spec = importlib.util.spec_from_file_location("monitor", program)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_shows_who_comes_and_goes_and_what_is_lost(program: Path, named_es, spawn: Spawner) -> None:
    shown = spawn(str(program), env=named_es.env, ready=r"monitor\.py\[\d+\] joined: \^\\\$ES\\\.\.\*\$")
    with fake_subscriber() as other, Publisher(es_uri=named_es.uri) as publisher:
        names = [f"A{number}" for number in range(12)]
        other.subscribe(named_es.uri, names, name="display", backlog=1, overflow="drop-newest")
        other.greet("event")
        shown.wait_for(TIME + re.escape(f"display joined: {', '.join(names[:10])} and 2 more") + "$")
        publisher.publish(["A1"] * 10, 1)
        shown.wait_for(TIME + r"display has lost events: drop-newest 9$")
        publisher.publish("A1", 1)  # one is in flight, and now one waits
        shown.wait_for(TIME + r"display is slow: 1 events wait for it$")
        other.leave()
        shown.wait_for(TIME + r"display left: closed its connection.* \(0 of 11 events delivered; lost: ")
    shown.terminate()
    assert not shown.stderr


def test_it_goes_on_when_the_service_is_back(program: Path, es, start_service, spawn: Spawner) -> None:
    shown = spawn(str(program), "--es-uri", es.uri, ready="joined")
    es.process.terminate()
    shown.wait_for(TIME + r"the service stops: \d+ events wait for 1 subscribers$")
    start_service("--port", str(es.port))
    shown.wait_for(r"^-------- missed: perhaps some\n\d\d:\d\d:\d\d monitor\.py\[\d+\] joined: ")
    shown.terminate()


@pytest.mark.parametrize(
    ("subject", "message", "line"),
    [
        ("$ES.SUBSCRIBER.RECOVERED", {"name": "", "subscriber": "PYRO:s@h:1"}, "PYRO:s@h:1 has caught up"),
        ("$ES.GROUP.SLOW", {"group": "workers", "backlog": 9}, "group workers is slow: 9 events wait for it"),
        ("$ES.SUBSCRIBER.MARRIED", {"name": "a", "subscriber": "PYRO:s@h:1"}, "a: MARRIED"),
        (
            "$ES.SERVICE.OMITTED",
            {"omitted": 3, "subjects": {"$ES.SUBSCRIBER.JOINED": 1, "$ES.SUBSCRIBER.LEFT": 2}},
            "too much happens to show it all; left out: SUBSCRIBER.JOINED 1, SUBSCRIBER.LEFT 2",
        ),
        ("$ES.SERVICE.SINGING", {"song": 1}, "$ES.SERVICE.SINGING: {'song': 1}"),
    ],
)
def test_what_it_says_of_an_event(monitor: ModuleType, subject: str, message: object, line: str) -> None:
    assert monitor.line(Event(subject, message)) == line
