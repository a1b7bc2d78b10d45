"""What publishers and subscribers have in common: their ends, statistics, names of arguments, and closing."""

from __future__ import annotations

import copy
import math
import pickle
from types import SimpleNamespace
from typing import Any

import pytest

from pyro_events.client.base import (
    NOT_GIVEN,
    ClientBase,
    Uninitialised,
    add_end,
    checked_wait,
    chosen_locator,
    either,
    end_of,
)
from pyro_events.client.statistics import ClientStatistics
from pyro_events.errors import EventServiceError
from pyro_events.wire.handshake.passphrase import identity_of


class FakeEnd:
    """An end that notes that it was closed."""

    closed: list[str] = []

    def __init__(self, name: str, connected: bool = True) -> None:
        current = SimpleNamespace(closed=False, connected=connected, address="PYRO:es@example:1")
        self.connection: Any = SimpleNamespace(current=current, name=name, identity=None)
        self.name = name

    def close(self) -> None:
        self.closed.append(self.name)

    def statistics(self) -> Any:
        return f"statistics of {self.name}"


@pytest.fixture(autouse=True)
def nothing_closed() -> None:
    FakeEnd.closed.clear()


def test_one_end() -> None:
    client = ClientBase()
    add_end(client, "publisher", FakeEnd("one"))
    assert client.statistics() == "statistics of one"
    assert repr(client) == "<ClientBase 'one' of PYRO:es@example:1, connected>"
    with client as entered:
        assert entered is client
    assert FakeEnd.closed == ["one"]


def test_both_ends_and_the_subscriber_is_closed_first() -> None:
    client = ClientBase()
    add_end(client, "publisher", FakeEnd("out"))
    add_end(client, "subscriber", FakeEnd("in", connected=False))
    assert client.statistics() == ClientStatistics("statistics of out", "statistics of in")  # type: ignore[arg-type]
    assert repr(client).endswith("connected and not connected>")
    client.close()
    assert FakeEnd.closed == ["in", "out"]


def test_a_second_init_closes_what_the_first_made() -> None:
    client = ClientBase()
    add_end(client, "publisher", FakeEnd("first"))
    add_end(client, "publisher", FakeEnd("second"))
    assert FakeEnd.closed == ["first"]
    assert client.statistics() == "statistics of second"


def test_a_close_of_the_programs_own_does_not_keep_the_block_from_closing() -> None:
    client = ClientBase()
    add_end(client, "publisher", FakeEnd("one"))
    client.close = 5  # type: ignore[method-assign, assignment]
    with client:
        pass
    assert FakeEnd.closed == ["one"]


def test_without_init() -> None:
    client = ClientBase()
    client.close()
    assert repr(client) == "<ClientBase, not initialised>"
    for use in (client.statistics, client.getES):
        with pytest.raises(EventServiceError, match="__init__ first"):
            use()
    with pytest.raises(EventServiceError, match="call Publisher.__init__ first"):
        end_of(client, "publisher").close()
    stands_in = Uninitialised("Subscriber")
    assert not hasattr(stands_in, "__len__")
    with pytest.raises(EventServiceError, match="call Subscriber.__init__ first"):
        stands_in.connection  # noqa: B018


def test_it_is_neither_copied_nor_pickled() -> None:
    for make in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="make another one where you need it"):
            make(ClientBase())


def test_what_is_ours_is_not_listed() -> None:
    client = ClientBase()
    add_end(client, "publisher", FakeEnd("one"))
    assert [name for name in dir(client) if "ends" in name.lower()] == []
    assert {"close", "statistics"} <= set(dir(client))


def test_an_argument_with_two_names() -> None:
    assert either("subscribe()", "subjects", 5, "subject", NOT_GIVEN) == 5
    assert either("subscribe()", "subjects", NOT_GIVEN, "subject", None) is None
    with pytest.raises(TypeError, match=r"subscribe\(\): subjects and subject are the same argument"):
        either("subscribe()", "subjects", 5, "subject", 6)
    with pytest.raises(TypeError, match=r"subscribe\(\) needs the argument subjects"):
        either("subscribe()", "subjects", NOT_GIVEN, "subject", NOT_GIVEN)
    assert repr(NOT_GIVEN) == "<not given>"


def test_an_address_with_two_names() -> None:
    assert chosen_locator(None, None, "example:1", "a name").name == "a name"
    with pytest.raises(TypeError, match="es_uri and esURI are the same argument"):
        chosen_locator(None, "example:1", "example:1")


def test_the_locator_proves_the_user() -> None:
    located = chosen_locator("secret", "example:1", None, user="alice").identity
    assert located is not None and located.user == "alice" and located is identity_of("secret", "alice")
    with pytest.raises(ValueError, match="user='alice' needs a passphrase"):
        chosen_locator(None, "example:1", None, user="alice")


VARIABLE = "PYROEVENTS_ES_URI"
SAID = "PYRO:Pyro.EventService@example:1"


def known(*arguments: Any, **named: Any) -> str | None:
    """The address that needs no look-up, for these arguments."""
    uri = chosen_locator(None, *(arguments or (None, None)), **named).known
    return None if uri is None else str(uri)


def test_the_environment_says_where_the_service_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert known() is None  # the name server knows
    monkeypatch.setenv(VARIABLE, "example:1")
    assert known() == known(ns_host="") == SAID
    monkeypatch.setenv(VARIABLE, "")
    assert known() is None


def test_the_program_itself_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("other:2", "not an address"):
        monkeypatch.setenv(VARIABLE, value)
        assert known("example:1", None) == known(None, "example:1") == SAID
        assert known(ns_host="example") is None and known(ns_port=9090) is None


def test_an_address_in_the_environment_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "lab-server")
    with pytest.raises(ValueError) as caught:
        chosen_locator(None, None, None)
    text = str(caught.value)
    assert text.startswith(
        "PYROEVENTS_ES_URI='lab-server' in the environment is not the address of an event service: the port "
        "is missing; write HOST:PORT"
    )
    assert text.endswith("without PYROEVENTS_ES_URI the name server is asked") and "es_uri" not in text
    monkeypatch.setenv(VARIABLE, "x" * 2000 + ":1")
    with pytest.raises(ValueError, match=r"^PYROEVENTS_ES_URI='x{60}'\.\.\. in the environment .* 1000 char"):
        chosen_locator(None, None, None)


@pytest.mark.parametrize("wait", [0, 1.5, math.inf])
def test_seconds_to_wait(wait: float) -> None:
    assert checked_wait(wait) == wait


@pytest.mark.parametrize("wait", [10**400, 10**10, 1e300])
def test_more_seconds_than_can_be_waited(wait: float) -> None:
    assert checked_wait(wait) == math.inf


@pytest.mark.parametrize(
    ("wait", "error"), [(True, TypeError), ("1", TypeError), (-1, ValueError), (math.nan, ValueError)]
)
def test_seconds_that_cannot_be_waited(wait: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="wait"):
        checked_wait(wait)
