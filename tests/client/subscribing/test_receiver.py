"""The subscribing end: what it tells the service, what it hands to whom, and how it ends."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import Pyro5.api
import pytest
from fake_service import FakeService, fake_service
from waiting import eventually

from pyro_events.client.connection.discovery import ServiceLocator
from pyro_events.client.subscribing.receiver import Receiver
from pyro_events.client.subscribing.subscriptions import NAME, PATTERN
from pyro_events.errors import EventServiceError
from pyro_events.wire.handshake.greeting_notes import GreetingNotes


@Pyro5.api.expose
class Exposed:
    """What the daemon serves."""

    def events(self, batch: Any) -> None:
        """Never called here: batches go to the dispatcher."""


class Answers(threading.Thread):
    """Answers every call with the number of its texts, and keeps method and texts."""

    def __init__(self, fake: FakeService) -> None:
        super().__init__()
        self.fake = fake
        self.calls: list[tuple[str, Any]] = []
        self.start()

    def run(self) -> None:
        connection = self.fake.next()
        with contextlib.suppress(OSError, AssertionError):  # the client has closed
            while True:
                seq, method, arguments = connection.call()
                self.calls.append((method, arguments[0]))
                connection.answer(seq, 0)


@pytest.fixture
def answers() -> Iterator[Answers]:
    with fake_service() as fake:
        answers = Answers(fake)
        yield answers
        fake.close()
        answers.join(10)


@pytest.fixture
def returned() -> list[str]:
    return []


@pytest.fixture
def receiver(answers: Answers, returned: list[str]) -> Iterator[Receiver]:
    locator = ServiceLocator(answers.fake.uri, name="a test")
    receiver = Receiver(locator, lambda: lambda event: None, returned.append)
    receiver.announce(Exposed())
    yield receiver
    receiver.close()


def test_subscribing_and_unsubscribing_are_calls(receiver: Receiver, answers: Answers) -> None:
    receiver.subscriptions.subscribe(NAME, ["A", "B"], {})
    receiver.subscriptions.subscribe(PATTERN, ["^C"], {})
    receiver.subscriptions.subscribe(NAME, [], {})  # which is none
    assert receiver.remote and receiver.statistics().subscriptions == ("A", "B", "^C")
    receiver.subscriptions.unsubscribe(["a", "^C"])
    assert receiver.statistics().subscriptions == ("B",)
    assert answers.calls == [(NAME, ["A", "B"]), (PATTERN, ["^C"]), ("unsubscribe", ["a", "^C"])]


def test_closing_unsubscribes_from_the_rest_once(receiver: Receiver, answers: Answers) -> None:
    receiver.subscriptions.subscribe(NAME, ["A"], {})
    receiver.close()
    receiver.close()
    assert [method for method, _ in answers.calls] == [NAME, "unsubscribe"]
    assert not receiver.statistics().connected
    for use in (receiver.listen, lambda: receiver.listen_in_background(receiver.listen)):
        with pytest.raises(EventServiceError, match="closed"):
            use()


def test_one_thread_listens(receiver: Receiver) -> None:
    receiver.listen_in_background(receiver.listen)
    for listen in (receiver.listen, lambda: receiver.listen_in_background(receiver.listen)):
        with pytest.raises(EventServiceError, match="another thread is in listen"):
            listen()
    receiver.abort()
    receiver.listen_in_background(receiver.listen)  # after `abort` it may begin again
    receiver.abort()


def test_a_first_connection_is_not_a_return(receiver: Receiver, returned: list[str]) -> None:
    receiver.subscriptions.subscribe(NAME, ["A"], {})
    assert not receiver.connected("one", GreetingNotes("", ""))
    assert receiver.connected("two", GreetingNotes("it was slow", ""))
    assert len(returned) == 1 and "it was slow" in returned[0]


def test_what_on_reconnect_raises_is_logged(answers: Answers, caplog: pytest.LogCaptureFixture) -> None:
    def fail(reason: str) -> None:
        raise SystemExit(3)

    receiver = Receiver(ServiceLocator(answers.fake.uri, name="a test"), lambda: lambda event: None, fail)
    receiver.announce(Exposed())
    receiver.subscriptions.subscribe(NAME, ["A"], {})
    receiver.connected("one", GreetingNotes("", ""))
    assert receiver.connected("two", GreetingNotes("", ""))
    eventually(lambda: "on_reconnect() failed" in caplog.text)
    receiver.close()


def test_where_the_service_is(receiver: Receiver, answers: Answers) -> None:
    assert receiver.is_at("127.0.0.1") and not receiver.is_at("127.0.0.2")
    assert receiver.statistics().address == answers.fake.uri
    assert receiver.daemon.locationStr in receiver.uri


def test_a_forked_child_does_nothing(receiver: Receiver, answers: Answers) -> None:
    receiver.subscriptions.subscribe(NAME, ["A"], {})
    receiver.forked()
    receiver.abort()
    receiver.close()
    assert [method for method, _ in answers.calls] == [NAME]
