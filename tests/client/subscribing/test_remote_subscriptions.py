"""What the service is told of one subscriber, with a connection that is the test's own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from threading import Thread
from typing import Any

import Pyro5.errors
import pytest

from pyro_events.client.reconnect.events import SubscriptionStatus
from pyro_events.client.subscribing.remote_subscriptions import RemoteSubscriptions
from pyro_events.client.subscribing.subscriptions import NAME, PATTERN
from pyro_events.constants import NOT_KNOWN
from pyro_events.errors import AccessDeniedError, AnswerTimeoutError
from pyro_events.wire.replies import rebuilt

NAMES = [f"{number:0>200}" for number in range(900)]


class Connection:
    """Plays the service too. knows: what it was told. before: called with the method before each call."""

    name = "a test"

    def __init__(self) -> None:
        self.current = self
        self.reconnects = 0
        self.knows: set[str] = set()
        self.anew: list[bool] = []
        self.options: list[dict[str, Any]] = []
        self.connected = True
        self.dropped: list[str] = []
        self.before: Callable[[str], object] = lambda method: None
        self.standing: dict[str, Any] = {"subscriptions": 0, "state": "active", "why": ""}

    def connect(self, quick: bool = False) -> None:
        pass

    def drop(self, reason: str) -> None:
        self.dropped.append(reason)

    def call(self, method: str, *arguments: Any, timeout: float | None = None) -> Any:
        self.before(method)
        if method == "statistics":
            return self.standing
        if method == "unsubscribe":
            self.knows -= set(arguments[0])
            return len(self.knows)
        self.anew.append(arguments[2].get("anew", False))
        self.options.append(arguments[2])
        if self.anew[-1]:
            self.knows.clear()
        self.knows |= set(arguments[0])
        return None


@pytest.fixture
def connection() -> Connection:
    return Connection()


@pytest.fixture
def remote(connection: Connection) -> RemoteSubscriptions:
    """With a name, and many more in several calls."""
    subscriptions = RemoteSubscriptions(connection, None)  # type: ignore[arg-type]
    subscriptions.subscribe(NAME, ["A"], {"backlog": 5})
    subscriptions.subscribe(NAME, NAMES, {})
    return subscriptions


def test_everything_is_sent_again_and_once_with_anew(
    remote: RemoteSubscriptions, connection: Connection
) -> None:
    remote.subscribe(PATTERN, ["^B"], {})
    connection.knows, connection.anew = {"stale"}, []
    remote.resubscribe(anew=True)
    assert connection.knows == {"A", *NAMES, "^B"}
    assert connection.anew[0] and not any(connection.anew[1:]) and len(connection.anew) > 3


def test_after_the_last_subscription_its_options_hold_for_the_next_one(connection: Connection) -> None:
    """Also when the service has forgotten it meanwhile, as it does with one that has none."""
    remote = RemoteSubscriptions(connection, None)  # type: ignore[arg-type]
    remote.subscribe(NAME, ["A"], {"group": "workers", "ahead": 1, "overflow": "latest"})
    remote.unsubscribe(["A"])
    connection.options = []
    remote.subscribe(NAME, ["B"], {"overflow": "block"})
    assert connection.options[0].items() >= {"group": "workers", "ahead": 1, "overflow": "block"}.items()
    remote.subscribe(NAME, ["C"], {})
    assert not {"group", "ahead", "overflow"} & connection.options[1].keys()


@pytest.mark.parametrize("call", range(1, 5))
def test_what_is_unsubscribed_from_meanwhile_does_not_come_back(
    remote: RemoteSubscriptions, connection: Connection, call: int
) -> None:
    """Whichever of the calls it comes between."""
    calls = 0

    def unsubscribe(method: str) -> None:
        nonlocal calls
        calls += method == NAME
        if method == NAME and calls == call:
            remote.unsubscribe(NAMES[300:])

    connection.before = unsubscribe
    remote.resubscribe(anew=False)
    connection.before = lambda method: None
    remote.resubscribe(anew=False)
    assert remote.texts() == ("A", *NAMES[:300])
    later = connection.knows - {"A", *NAMES[:300]}
    # The call that was interrupted had been made up already; none that came later.
    assert len(later) <= 250


def test_another_thread_that_unsubscribes_waits_for_the_call_under_way(
    remote: RemoteSubscriptions, connection: Connection
) -> None:
    unsubscribing = threading.Thread(target=remote.unsubscribe, args=(NAMES,))

    def begin(method: str) -> None:
        connection.before = lambda method: None
        unsubscribing.start()

    connection.before = begin
    remote.resubscribe(anew=True)
    unsubscribing.join(10)
    assert connection.knows == {"A"} == set(remote.texts())


class Pause:
    """Holds up the next call that is made over a connection."""

    def __init__(self, connection: Connection) -> None:
        self.go_on, self.begun = threading.Event(), threading.Event()
        self._connection = connection
        connection.before = self._hold

    def _hold(self, method: str) -> None:
        self._connection.before = lambda method: None
        self.begun.set()
        self.go_on.wait(10)

    def while_it_lasts(self, first: Thread, other: Thread) -> None:
        """Have the first thread make that call, and start the other one meanwhile; return when both end."""
        first.start()
        assert self.begun.wait(10)
        other.start()
        other.join(0.05)  # it may wait for the first thread, or not
        self.go_on.set()
        for thread in (first, other):
            thread.join(10)
            assert not thread.is_alive()


def in_thread(work: Callable[..., object], *arguments: Any) -> Thread:
    return Thread(target=work, args=arguments, daemon=True)


@pytest.mark.parametrize("anew", [False, True])
def test_what_is_subscribed_to_meanwhile_stays(
    remote: RemoteSubscriptions, connection: Connection, anew: bool
) -> None:
    """With `anew` the service forgets what it has heard before; what follows is told."""
    pause = Pause(connection)
    pause.while_it_lasts(in_thread(remote.subscribe, NAME, ["B"], {}), in_thread(remote.resubscribe, anew))
    assert connection.knows == {"A", "B", *NAMES} == set(remote.texts())


@pytest.mark.parametrize("anew", [False, True])
def test_what_is_subscribed_to_between_two_calls_stays(
    remote: RemoteSubscriptions, connection: Connection, anew: bool
) -> None:
    pause = Pause(connection)
    pause.while_it_lasts(in_thread(remote.resubscribe, anew), in_thread(remote.subscribe, NAME, ["B"], {}))
    assert connection.knows == {"A", "B", *NAMES} == set(remote.texts())


def test_a_name_that_two_threads_change_is_here_what_it_is_at_the_service(
    remote: RemoteSubscriptions, connection: Connection
) -> None:
    pause = Pause(connection)
    pause.while_it_lasts(in_thread(remote.subscribe, NAME, ["B"], {}), in_thread(remote.unsubscribe, ["B"]))
    assert connection.knows == {"A", *NAMES} == set(remote.texts())


def test_one_that_is_interrupted_while_it_is_read_does_not_wait_for_itself(
    remote: RemoteSubscriptions, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal's handler subscribes, and another thread that subscribes must be able to go on."""
    pause = Pause(connection)
    texts = remote._record.texts

    def interrupted() -> tuple[str, ...]:
        pause.go_on.set()
        remote.subscribe(NAME, ["C"], {})
        return texts()

    monkeypatch.setattr(remote._record, "texts", interrupted)
    pause.while_it_lasts(in_thread(remote.subscribe, NAME, ["B"], {}), in_thread(remote.texts))
    assert connection.knows == {"A", "B", "C", *NAMES}


def test_when_nothing_is_left_to_be_told_nothing_is(
    remote: RemoteSubscriptions, connection: Connection
) -> None:
    remote.unsubscribe(["A", *NAMES])
    connection.anew = []
    remote.resubscribe(anew=True)
    assert not connection.anew and not remote


def test_a_program_whose_call_is_not_answered_holds_it_up_for_a_while(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = RemoteSubscriptions(connection, None, patience=0.01)  # type: ignore[arg-type]
    remote.subscribe(NAME, ["A"], {})
    go_on, begun = threading.Event(), threading.Event()

    def wait(method: str) -> None:
        begun.set()
        go_on.wait(10)

    connection.before = wait
    thread = threading.Thread(target=remote.subscribe, args=(NAME, ["B"], {}))
    thread.start()
    assert begun.wait(10)
    with pytest.raises(AnswerTimeoutError, match="another call"):
        remote.resubscribe(anew=True)
    go_on.set()
    thread.join(10)
    assert connection.dropped


def test_a_call_that_is_not_answered_gives_the_connection_up(
    remote: RemoteSubscriptions, connection: Connection
) -> None:
    def be_silent(method: str) -> None:
        raise Pyro5.errors.TimeoutError("no answer")

    connection.before = be_silent
    with pytest.raises(Pyro5.errors.TimeoutError):
        remote.resubscribe(anew=True)
    assert connection.dropped == ["it did not answer"]


def refused_call(text: str) -> AccessDeniedError:
    """What a client makes of a SecurityError in a reply."""
    error = rebuilt({"__class__": "Pyro5.errors.SecurityError", "args": [text]})
    assert isinstance(error, AccessDeniedError)
    return error


class TestAsking:
    COUNT = 1 + len(NAMES)

    @pytest.mark.parametrize(
        ("count", "status"),
        [
            (COUNT, SubscriptionStatus.KNOWN),
            (COUNT + 1, SubscriptionStatus.KNOWN),
            (1, SubscriptionStatus.UNSURE),
            (-1, SubscriptionStatus.UNKNOWN),
        ],
    )
    def test_what_the_service_knows(
        self, remote: RemoteSubscriptions, connection: Connection, count: int, status: SubscriptionStatus
    ) -> None:
        connection.standing = {"subscriptions": count, "state": "connecting", "why": "no answer"}
        answered = remote.ask(1.0)
        assert (answered.status, answered.why) == (status, "no answer")
        assert not answered.connected and not answered.silent

    def test_a_service_of_version_0_1_is_asked_in_its_own_way(
        self, remote: RemoteSubscriptions, connection: Connection
    ) -> None:
        def refuse(method: str) -> None:
            if method == "statistics":
                raise TypeError("statistics() takes 1 positional argument but 2 were given")

        connection.before = refuse
        assert remote.ask(1.0).status is SubscriptionStatus.KNOWN
        connection.knows.clear()
        assert remote.ask(1.0).status is SubscriptionStatus.UNSURE

    def test_what_is_subscribed_to_meanwhile_is_not_missing(
        self, remote: RemoteSubscriptions, connection: Connection
    ) -> None:
        subscribing = in_thread(remote.subscribe, NAME, ["B"], {})

        def begin(method: str) -> None:
            connection.before = lambda method: None
            connection.standing["subscriptions"] = self.COUNT
            subscribing.start()
            subscribing.join(0.05)

        connection.before = begin
        assert remote.ask(1.0).status is SubscriptionStatus.KNOWN
        subscribing.join(10)
        assert "B" in remote.texts()

    def test_a_program_whose_call_is_not_answered_keeps_it_from_asking(
        self, remote: RemoteSubscriptions, connection: Connection
    ) -> None:
        pause = Pause(connection)
        subscribing = in_thread(remote.subscribe, NAME, ["B"], {})
        subscribing.start()
        assert pause.begun.wait(10)
        with pytest.raises(AnswerTimeoutError, match="another call"):
            remote.ask(0.01)
        pause.go_on.set()
        subscribing.join(10)
        assert connection.dropped

    def test_how_it_is_connected(self, remote: RemoteSubscriptions, connection: Connection) -> None:
        connection.standing = {"subscriptions": self.COUNT, "state": "active", "why": ""}
        assert remote.ask(1.0).connected
        connection.standing["state"] = "greeting"
        assert remote.ask(1.0).silent

    def test_another_connection_may_be_to_another_service(
        self, remote: RemoteSubscriptions, connection: Connection
    ) -> None:
        connection.standing["subscriptions"] = self.COUNT
        connection.reconnects = 1
        remote.subscribe(NAME, ["B"], {})  # which does not stand for all
        assert remote.ask(1.0).status is SubscriptionStatus.UNSURE
        remote.resubscribe(anew=False)
        connection.standing["subscriptions"] = self.COUNT + 1
        assert remote.ask(1.0).status is SubscriptionStatus.KNOWN

    def test_one_whose_address_has_changed_is_not_known(
        self, remote: RemoteSubscriptions, connection: Connection
    ) -> None:
        def refuse(method: str) -> None:
            raise refused_call("can be changed only from there")

        connection.before = refuse
        assert remote.ask(1.0).status is SubscriptionStatus.UNKNOWN

    def test_a_wrong_passphrase_is_an_error(
        self, remote: RemoteSubscriptions, connection: Connection
    ) -> None:
        def deny(method: str) -> None:
            raise AccessDeniedError("denied")

        connection.before = deny
        with pytest.raises(AccessDeniedError):
            remote.ask(1.0)


class TestSubscribing:
    """In several calls."""

    def test_the_options_come_with_the_last_call(
        self, remote: RemoteSubscriptions, connection: Connection
    ) -> None:
        connection.options = []
        remote.subscribe(NAME, NAMES, {"backlog": 7})
        assert len(connection.options) > 2
        assert ["backlog" in options for options in connection.options[-2:]] == [False, True]

    def test_a_bad_pattern_among_many_is_found_before_any_call(
        self, remote: RemoteSubscriptions, connection: Connection
    ) -> None:
        before = set(connection.knows)
        for patterns in ([*NAMES, "("], ["a" * 300]):
            with pytest.raises(ValueError, match="pattern"):
                remote.subscribe(PATTERN, patterns, {})
        assert connection.knows == before
        remote.subscribe(PATTERN, ["("], {})  # of a single call the service is the judge
        remote.subscribe(NAME, [*NAMES, "(" * 3], {})  # and these are names
        assert connection.knows == before | {"(", "(" * 3}

    def test_the_first_call_says_which_connection_it_was(self, connection: Connection) -> None:
        """A connection that is made later may be to a service that knows only what follows."""
        remote = RemoteSubscriptions(connection, None)  # type: ignore[arg-type]
        connection.reconnects = 2
        connection.standing["subscriptions"] = len(NAMES) + 1
        remote.subscribe(NAME, ["A"], {})
        assert remote.ask(1.0).status is SubscriptionStatus.KNOWN
        remote.unsubscribe(["A"])

        def reconnect(method: str) -> None:
            connection.reconnects += len(connection.options) == 3

        connection.before = reconnect
        remote.subscribe(NAME, NAMES, {})
        assert connection.reconnects == 3
        connection.before = lambda method: None
        assert remote.ask(1.0).status is SubscriptionStatus.UNSURE


class TestTheEnd:
    def test_it_is_one_and_for_good(self, remote: RemoteSubscriptions, connection: Connection) -> None:
        assert remote
        assert remote.end() == ["A", *NAMES]
        assert remote.end() is None and not remote
        connection.anew = []
        remote._record.add(NAME, ["late"])
        remote.resubscribe(anew=True)
        assert not connection.anew and not remote

    @pytest.mark.parametrize("connected", [False, True])
    def test_what_was_subscribed_is_unsubscribed_where_that_takes_no_time(
        self, remote: RemoteSubscriptions, connection: Connection, connected: bool
    ) -> None:
        names = remote.end()
        assert names is not None
        connection.connected = connected
        remote.unsubscribe_all(names)
        assert bool(connection.knows) is not connected

    def test_a_service_that_does_not_answer_any_more(
        self, remote: RemoteSubscriptions, connection: Connection
    ) -> None:
        def be_silent(method: str) -> None:
            raise Pyro5.errors.TimeoutError("no answer")

        connection.before = be_silent
        remote.unsubscribe_all(["A"])
        assert "A" in connection.knows


class OwnWay:
    """A subscriber that connects itself."""

    own, falls_back = True, False

    def attach(self, again: bool = False, quick: bool = False) -> dict[str, str]:
        return {"key": "a key"}


def test_one_that_connects_itself_is_subscribed_again_without_giving_up_its_connection(
    remote: RemoteSubscriptions, connection: Connection
) -> None:
    remote.calls.way = OwnWay()
    connection.anew = []
    remote.resubscribe(anew=True)
    assert connection.anew and not any(connection.anew) and remote.calls.subscriber == {"key": "a key"}


def test_what_has_never_subscribed_has_nothing_to_unsubscribe_from(connection: Connection) -> None:
    subscriptions = RemoteSubscriptions(connection, None)  # type: ignore[arg-type]
    subscriptions.calls.way = OwnWay()
    connection.before = lambda method: pytest.fail(method)
    subscriptions.unsubscribe(["A"])


def test_the_service_says_that_it_cannot_connect(remote: RemoteSubscriptions, connection: Connection) -> None:
    connection.standing = {"subscriptions": 901, "state": "unreachable", "why": "refused"}
    answer = remote.ask(5.0)
    assert (answer.unreachable, answer.falls_back, answer.why) == (True, False, "refused")
    way = OwnWay()
    way.own, way.falls_back = False, True
    remote.calls.way = way
    assert remote.ask(5.0).falls_back


def test_a_restarted_service_has_to_be_told_as_well_that_it_connects_itself(
    remote: RemoteSubscriptions, connection: Connection
) -> None:
    way = OwnWay()
    way.own, way.falls_back = False, True
    remote.calls.way = way
    connection.standing = {"subscriptions": NOT_KNOWN, "state": "", "why": ""}
    answer = remote.ask(5.0)
    assert (answer.status, answer.falls_back) == (SubscriptionStatus.UNKNOWN, True)
