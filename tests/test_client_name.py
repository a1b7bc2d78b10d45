"""What publishers and subscribers are called (C23c): what may be a name, and where it shows."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import Any

import pytest
from contract import statistics
from hypothesis import given
from hypothesis import strategies as st
from processes import Spawner
from Pyro5.api import Daemon, Proxy, expose
from Pyro5.errors import CommunicationError
from waiting import eventually

from pyro_events import EventServiceStarter, Publisher, Subscriber
from pyro_events.client_name import MAX_CLIENT_NAME, checked_client_name, default_client_name, described

BAD = [
    ("", "empty"),
    ("  ", "empty"),
    ("x" * (MAX_CLIENT_NAME + 1), "101 characters"),
    ("a\nb", "printed"),
    ("a\x1b[31mb", "printed"),
    ("a\x00", "printed"),
    ("a\x85b", "printed"),
    ("a\u2028b", "printed"),
    ("a\u202eb", "printed"),
    ("a\ud800b", "printed"),
]


@pytest.mark.parametrize(("name", "reason"), BAD)
@pytest.mark.parametrize("kind", [Publisher, Subscriber])
def test_a_bad_name_is_refused_before_anything_is_connected(
    kind: Callable[..., object], name: str, reason: str, free_port: Callable[[], int]
) -> None:
    with pytest.raises(ValueError, match=reason):
        kind(es_uri=f"PYRO:Pyro.EventService@127.0.0.1:{free_port()}", name=name)


@pytest.mark.parametrize("name", [5, b"bytes", ["a"], object()])
@pytest.mark.parametrize("kind", [Publisher, Subscriber])
def test_a_name_is_text(kind: Callable[..., object], name: object) -> None:
    with pytest.raises(TypeError, match="name must be a str"):
        kind(es_uri="PYRO:Pyro.EventService@127.0.0.1:1", name=name)


@given(st.lists(st.text(), max_size=3), st.integers(1, 2**22))
def test_the_default_name_can_always_be_a_name(argv: list[str], pid: int) -> None:
    name = default_client_name(argv, pid)
    assert checked_client_name(name) == name and name.endswith(f"[{pid}]")


@given(st.text())
def test_what_is_shown_of_a_name_is_one_line(text: str) -> None:
    try:
        name = checked_client_name(text)
    except ValueError:
        return
    shown = described(name, "127.0.0.1")
    assert shown.isprintable() and len(shown.splitlines()) == 1 and shown.endswith(" (127.0.0.1)")


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        ([], "python[7]"),
        ([""], "python[7]"),
        (["-c"], "python[7]"),
        (["/lab/market.py"], "market.py[7]"),
        (["/lab/tools/__main__.py"], "tools[7]"),
        (["/lab/a\nb.py"], "a?b.py[7]"),
        (["/lab/" + "x" * 200], "x" * 97 + "[7]"),
    ],
)
def test_the_default_is_the_script_and_the_process(argv: list[str], name: str) -> None:
    assert default_client_name(argv, 7) == name


def test_names_show_in_statistics(service: EventServiceStarter) -> None:
    with Publisher(es_uri=service.uri, name="Börse 1") as market, Subscriber(es_uri=service.uri) as ticker:
        ticker.subscribe("A")
        default = default_client_name(sys.argv, os.getpid())
        assert market.statistics().name == "Börse 1"
        assert ticker.statistics().name == default
        found = statistics(service.uri)
        assert [each["name"] for each in found["subscribers"]] == [default]
        assert sorted(found["clients"]) == sorted([["Börse 1", "127.0.0.1"], [default, "127.0.0.1"]])
        assert found["connections"] == 3  # with the one that asks, and has no name
        assert not hasattr(market, "name") and not hasattr(ticker, "name")


def test_the_log_shows_a_name_beside_the_uri(
    service: EventServiceStarter, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        Subscriber(es_uri=service.uri, name="it's", callback=True) as ticker,
        caplog.at_level(logging.INFO),
    ):
        ticker.subscribe("A")
        uri = ticker.statistics().uri
        ticker.daemon.close()
        eventually(lambda: f'"it\'s" ({uri})' in caplog.text)


def test_plain_objects_may_say_what_they_are_called(service: EventServiceStarter) -> None:
    with Daemon() as daemon, Proxy(service.uri) as es:
        screen = daemon.register(Screen())
        for bad in ("", "a\nb", "x" * 101, 5):
            with pytest.raises((ValueError, TypeError), match="name"):
                es.subscribe("A", screen, {"name": bad})
        assert es.statistics()["subscribers"] == []
        es.subscribe("A", screen, {"name": "screen", "overflow": "latest"})
        es.subscribe("B", screen)  # the name stays
        (one,) = es.statistics()["subscribers"]
        assert one["name"] == "screen"


@expose
class Screen:
    def event(self, event: object) -> None:
        """Nothing is published."""


@pytest.mark.parametrize(("name", "reason"), [*BAD[:-1], (5, "must be a str"), ({"a": 1}, "must be a str")])
def test_the_service_judges_names_too(
    service: EventServiceStarter, monkeypatch: pytest.MonkeyPatch, name: Any, reason: str
) -> None:
    monkeypatch.setattr("pyro_events.client.base.chosen_client_name", lambda given: given)
    with pytest.raises(CommunicationError, match=reason):
        Publisher(es_uri=service.uri, name=name)
    with Publisher(es_uri=service.uri, name="good") as publisher:
        assert publisher.publish("A", 1) == 0


def test_a_program_is_called_after_its_script(
    service: EventServiceStarter, spawn: Spawner, tmp_path: Any
) -> None:
    script = tmp_path / "market.py"
    script.write_text(
        "import sys, pyro_events\n"
        "with pyro_events.Publisher(es_uri=sys.argv[1]) as market:\n"
        "    print('here', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    process = spawn(str(script), service.uri, ready="here")
    found = statistics(service.uri)["clients"]
    assert len(found) == 1 and found[0][0].startswith("market.py[")
    process.terminate()
