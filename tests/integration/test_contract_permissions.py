"""C40: what each user may do, for every kind of client, and what nobody learns of others."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from contract import in_background
from listening import Collecting, Collector, OwnCollector, StreamCollector, collecting
from processes import Spawner
from Pyro5.api import Proxy
from Pyro5.errors import ConnectionClosedError, SecurityError
from raw_client import raw_client
from waiting import eventually
from watching import PUBLISHERS, Calls, WatchersConnections

from pyro_events import (
    AccessDeniedError,
    EventService,
    EventServiceStarter,
    EventStream,
    IdentProxy,
    OutcomeUnknownError,
    PipelineError,
    Publisher,
    Subscriber,
    aio,
)
from pyro_events.codec.message import encode
from pyro_events.options import BacklogOptions, ServiceOptions
from pyro_events.server.clients.connection import Connection
from pyro_events.testing import collect as collected

LOOPBACK = "127.0.0.1"
FILE = """
[users.alice]
ident = "key of alice"
publish = ["LAB.*"]
subscribe = ["*", "!SECRET.*"]
groups = ["workers"]
block = true

[users.bob]
ident = "key of bob"
publish = ["*"]
subscribe = ["LAB.*", "$ES.SUBSCRIBER.*"]

[users.root]
ident = "key of root"
publish = ["*"]
subscribe = ["*", "$ES.*"]
admin = true

[default]
publish = ["PUBLIC.*"]
subscribe = ["PUBLIC.*"]
"""


def who(user: str) -> dict[str, Any]:
    return {"user": user, "ident": f"key of {user}"}


ALICE, BOB, ROOT = who("alice"), who("bob"), who("root")


class Laboratory:
    """A service with permissions. uri: its own."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "laboratory.toml"
        self.write(FILE)
        self.uri = ""
        self.reload: Callable[[], None] = lambda: None

    def write(self, text: str) -> None:
        """Write another file."""
        self.file.write_text(text, encoding="utf-8")
        self.file.chmod(0o600)

    def change(self, old: str, new: str) -> None:
        """Write a part of the file otherwise, and have it read again."""
        text = self.file.read_text(encoding="utf-8")
        assert text.count(old) == 1
        self.write(text.replace(old, new))
        self.reload()

    def subscribers(self, user: dict[str, Any] = ROOT) -> list[dict[str, Any]]:
        """What a user sees of subscribers."""
        with IdentProxy(self.uri, user["ident"], user["user"]) as es:
            return list(es.statistics()["subscribers"])


@contextlib.contextmanager
def running(lab: Laboratory, **options: Any) -> Iterator[None]:
    wanted = ServiceOptions(permissions=lab.file, **options)
    with EventServiceStarter(LOOPBACK, 0, use_ns=False, options=wanted) as starter:
        lab.uri, lab.reload = starter.uri, starter.reload_permissions
        yield


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Laboratory]:
    laboratory = Laboratory(tmp_path)
    with running(laboratory):
        yield laboratory


def publisher(lab: Laboratory, user: dict[str, Any]) -> Publisher:
    return Publisher(es_uri=lab.uri, **user)


# What a user may publish


def refused(call: Callable[[], object], text: str, kind: type[Exception] = AccessDeniedError) -> None:
    with pytest.raises(kind, match=text) as caught:
        call()
    assert not isinstance(caught.value, AccessDeniedError) or caught.value.of_call


def test_c40_a_publish_that_is_not_allowed_is_named_and_nothing_of_it_happens(lab: Laboratory) -> None:
    denied = "user 'alice' may not publish the subject 'HALL.X'"
    with (
        EventStream(match=".*", es_uri=lab.uri, **ROOT) as everything,
        publisher(lab, ALICE) as alice,
        publisher(lab, ROOT) as root,
    ):
        refused(lambda: alice.publish("HALL.X", 1), denied)
        refused(lambda: alice.publish(["LAB.1", "HALL.X"], bytes(200_000)), denied)
        with pytest.raises(PipelineError, match=denied) as caught, alice.pipeline() as pipeline:
            pipeline.publish("HALL.X", 1)
        assert (caught.value.published, caught.value.not_published) == (0, 1)
        with alice.background() as instrument:
            instrument.publish("HALL.X", 1)
            assert instrument.flush(20)
            assert instrument.statistics().refused == 1
        refused(lambda: alice.listeners(["LAB.1", "HALL.X"]), denied)
        assert alice.publish(["LAB.1", "lab.2"], 1) == 2
        root.publish("LAST", 1)
        assert [everything.get(timeout=20).subject for _ in range(3)] == ["LAB.1", "lab.2", "LAST"]


def test_c35a_c40_what_may_be_published_is_not_lost_beside_what_may_not(lab: Laboratory) -> None:
    """While the first event is under way, the others are gathered for one call."""

    async def by_asyncio() -> None:
        async with aio.Publisher(es_uri=lab.uri, **ALICE) as alice, alice.background() as instrument:
            for number in range(60):
                instrument.publish("LAB.1" if number % 3 else "HALL.X", number)
            assert await instrument.flush(20)
            figures = instrument.statistics()
            assert (figures.published, figures.refused) == (40, 20)

    expected = [number for number in range(60) if number % 3]
    with EventStream(match="LAB", es_uri=lab.uri, **ROOT) as events:
        with publisher(lab, ALICE) as alice, alice.background() as instrument:
            for number in range(60):
                instrument.publish("LAB.1" if number % 3 else "HALL.X", number)
            assert instrument.flush(20)
            assert (instrument.statistics().published, instrument.statistics().refused) == (40, 20)
        assert [events.get(timeout=20).msg for _ in expected] == expected
        asyncio.run(by_asyncio())
        assert [events.get(timeout=20).msg for _ in expected] == expected


def test_c40_publishing_by_asyncio(lab: Laboratory) -> None:
    async def main() -> None:
        async with aio.Publisher(es_uri=lab.uri, **ALICE) as alice:
            with pytest.raises(AccessDeniedError, match="may not publish the subject 'HALL.X'"):
                await alice.publish("HALL.X", 1)
            assert await alice.publish("LAB.X", 1) == 0
        with pytest.raises(AccessDeniedError, match="may not subscribe to the subject 'SECRET.X'"):
            await aio.EventStream("SECRET.X", es_uri=lab.uri, **ALICE).connect()

    asyncio.run(main())


@pytest.mark.parametrize("serializer", ["serpent", "json", "msgpack"])
def test_c40_stock_clients_have_the_default(lab: Laboratory, serializer: str) -> None:
    with Proxy(lab.uri) as es:
        es._pyroSerializer = serializer
        assert es.publish("public.X", 1) == 0
        with pytest.raises(SecurityError, match="names no user .user=. may not publish the subject 'LAB.X'"):
            es.publish(["PUBLIC.X", "LAB.X"], 1)
        with pytest.raises(SecurityError, match="may not subscribe to the subject 'LAB.X'"):
            es.subscribe("LAB.X", "PYRO:object@127.0.0.1:1")


# What a user may get


KINDS = pytest.mark.parametrize("kind", [Collector, OwnCollector, StreamCollector])


@KINDS
def test_c40_a_subscription_that_is_not_allowed_is_named_and_nothing_of_it_happens(
    lab: Laboratory, kind: type[Any]
) -> None:
    with kind(es_uri=lab.uri, **BOB) as subscriber, publisher(lab, ROOT) as root:
        refused(
            lambda: subscriber.subscribe(["LAB.X", "HALL"]),
            "user 'bob' may not subscribe to the subject 'HALL'",
        )
        assert root.publish(["LAB.X", "HALL"], 1) == 0
        subscriber.subscribe("LAB.X")
        assert root.publish(["LAB.X", "HALL"], 1) == 1


def test_c40_other_ways_of_subscribing(lab: Laboratory) -> None:
    refused(lambda: EventStream("SECRET.X", es_uri=lab.uri, **ALICE), "subject 'SECRET.X'")
    with Subscriber(es_uri=lab.uri, **ALICE) as subscriber:
        refused(lambda: subscriber.on("SECRET.X")(print), "subject 'SECRET.X'")

    def collect() -> None:
        with collected("SECRET.X", es_uri=lab.uri, **ALICE):
            pass

    refused(collect, "subject 'SECRET.X'")


def test_c40_a_pattern_delivers_only_what_is_allowed(lab: Laboratory, collect: Collecting) -> None:
    with collect(lab.uri, **ALICE) as everything, publisher(lab, ROOT) as root:
        everything.subscribeMatch(".*")
        assert root.publish(["SECRET.A", "ſecret.b", "SeCrEt.C", "SECRETARY", "LAB.X"], 1) == 2
        assert [event.subject for event in everything.wait(2)] == ["SECRETARY", "LAB.X"]
        assert [event.seq for event in everything.events] == [1, 2]  # a gap would tell of the others


def test_c40_the_services_own_events_are_for_those_who_name_them(lab: Laboratory) -> None:
    with (
        EventStream(match=r"^\$ES", es_uri=lab.uri, **ALICE) as alice,
        EventStream(match=r"^\$ES", es_uri=lab.uri, **BOB) as bob,
        EventStream("LAB.X", es_uri=lab.uri, **ALICE),
    ):
        while bob.get(timeout=20).msg["subjects"] != ["LAB.X"]:
            pass
        refused(lambda: alice.subscribe("$Eſ.SUBSCRIBER.LEFT"), r"the subject '\$Eſ.SUBSCRIBER.LEFT'")
        alice.subscribe("$ES.TEST.1")
        with publisher(lab, BOB) as publishing:
            assert publishing.publish("$ES.TEST.1", 1) == 1
        assert alice.get(timeout=20).subject == "$ES.TEST.1"


def test_c40_a_group_is_joined_by_right(lab: Laboratory) -> None:
    denied = "user 'bob' may not join the group 'workers'"
    refused(lambda: EventStream("LAB.X", group="workers", es_uri=lab.uri, **BOB), denied)
    with Subscriber(es_uri=lab.uri, **BOB) as subscriber:
        refused(lambda: subscriber.subscribe("LAB.X", group="workers"), denied)
    with (
        EventStream("LAB.X", group="Workers", es_uri=lab.uri, **ALICE) as member,
        publisher(lab, BOB) as bob,
    ):
        assert bob.publish("LAB.X", 1) == 1
        assert member.get(timeout=20).subject == "LAB.X"


def test_c40_last_values_come_only_where_they_are_allowed(lab: Laboratory) -> None:
    with publisher(lab, ROOT) as root, publisher(lab, ALICE) as alice:
        root.publish(["SECRET.X", "LAB.X", "HALL"], 1, retain=True)
        with EventStream(match=".*", last=True, es_uri=lab.uri, **ALICE) as events:
            root.publish("LAB.Y", 2)
            assert [events.get(timeout=20).subject for _ in range(3)] == ["LAB.X", "HALL", "LAB.Y"]
        refused(lambda: alice.clear_retained(["LAB.X", "HALL"]), "may not publish the subject 'HALL'")
        refused(lambda: alice.publish("HALL", 1, retain=True), "may not publish the subject 'HALL'")
        assert root.clear_retained(["LAB.X", "HALL"]) == 2


def test_c40_a_right_that_was_lost_while_the_service_was_away_does_not_cost_the_others(
    tmp_path: Path, free_port: Callable[[], int], collect: Collecting
) -> None:
    lab, port = Laboratory(tmp_path), free_port()
    options = ServiceOptions(permissions=lab.file)

    def starter() -> EventServiceStarter:
        return EventServiceStarter(LOOPBACK, port, use_ns=False, options=options)

    with contextlib.ExitStack() as stack:
        with starter() as first:
            collector = stack.enter_context(collect(first.uri, "LAB.X", "HALL", **ALICE))
            with Publisher(es_uri=first.uri, **ROOT) as root:
                assert root.publish(["LAB.X", "HALL"], 1) == 2
                collector.wait(2)
        lab.change('subscribe = ["*", "!SECRET.*"]', 'subscribe = ["HALL"]')
        second = stack.enter_context(starter())
        root = stack.enter_context(Publisher(es_uri=second.uri, **ROOT))
        eventually(lambda: root.publish("HALL", 2) == 1, 30)
        assert root.publish("LAB.X", 3) == 0
        eventually(lambda: collector.messages()[-1] == 2)


# Holding publishers up


def test_c40_without_the_right_to_block_it_is_drop_oldest(tmp_path: Path) -> None:
    lab = Laboratory(tmp_path)
    small = BacklogOptions(backlog=5)
    with running(lab, backlog=small), publisher(lab, ROOT) as root:
        with EventStream("LAB.X", overflow="block", es_uri=lab.uri, **BOB):
            for number in range(5_000):
                root.publish("LAB.X", number)
            (shown,) = lab.subscribers()
            assert shown["overflow"] == "drop-oldest" and shown["lost"]["drop-oldest"] > 0
        with EventStream("HALL", overflow="block", es_uri=lab.uri, **ALICE):
            eventually(lambda: [each["overflow"] for each in lab.subscribers()] == ["block"])


# What nobody learns of others


def test_c40_statistics_are_of_ones_own_subscribers(lab: Laboratory) -> None:
    with (
        EventStream("LAB.X", es_uri=lab.uri, name="of alice", **ALICE),
        EventStream("LAB.X", es_uri=lab.uri, name="of bob", **BOB),
        publisher(lab, ROOT) as root,
    ):
        assert root.publish("LAB.X", 1) == 2
        for user in ("alice", "bob"):
            with IdentProxy(lab.uri, f"key of {user}", user) as es:
                seen = es.statistics()
            assert [each["name"] for each in seen["subscribers"]] == [f"of {user}"]
            assert {name for name, _ in seen["clients"]} <= {f"of {user}"}
            assert seen["accepted"] == 1 and seen["published"] is None and seen["connections"] is None
        seen = {(each["name"], each["user"]) for each in lab.subscribers(ROOT)}
        assert seen == {("of alice", "alice"), ("of bob", "bob")}
        with Proxy(lab.uri) as stranger:
            assert stranger.statistics()["subscribers"] == []


def test_c40_another_users_subscriber_is_not_there(lab: Laboratory) -> None:
    with (
        collecting(lab.uri, "LAB.X", **ALICE) as collector,
        raw_client(lab.uri) as nobody,
        IdentProxy(lab.uri, "key of bob", "bob") as bob,
        IdentProxy(lab.uri, "key of root", "root") as root,
    ):
        uri = collector.known_as
        nothing = "PYRO:nothing@" + uri.partition("@")[2]
        for stranger in (nobody.call, lambda name, *arguments: getattr(bob, name)(*arguments)):
            asked = stranger("statistics", {"subscriber": uri})
            assert asked == stranger("statistics", {"subscriber": nothing})
            assert stranger("unsubscribe", "LAB.X", uri) == stranger("unsubscribe", "LAB.X", nothing) == -1
        assert root.statistics({"subscriber": uri})["subscriptions"] == 1
        assert root.unsubscribe("LAB.X", uri) == 0


# Other rights while it runs


def test_c40_rights_that_were_taken_end_at_once(lab: Laboratory, collect: Collecting) -> None:
    with (
        collect(lab.uri, "LAB.X", "HALL", **ALICE) as collector,
        publisher(lab, ROOT) as root,
        publisher(lab, ALICE) as alice,
    ):
        collector.subscribeMatch("^LAB")
        assert root.publish(["LAB.X", "HALL"], 1) == 2
        collector.wait(2)
        lab.change('subscribe = ["*", "!SECRET.*"]', 'subscribe = ["HALL"]')
        eventually(lambda: root.publish("LAB.X", 2) == 0)
        assert root.publish("HALL", 3) == 1
        eventually(lambda: collector.events[-1].msg == 3)
        lab.change('publish = ["LAB.*"]', 'publish = ["HALL"]')
        eventually(lambda: not may_publish(alice, "LAB.X"))
        assert may_publish(alice, "HALL")
        assert collector.reasons == []


def may_publish(publisher: Publisher, subject: str) -> bool:
    try:
        publisher.publish(subject, 0)
    except AccessDeniedError:
        return False
    return True


def test_c40_what_waits_and_is_not_allowed_any_more_is_lost_and_counted(lab: Laboratory) -> None:
    with EventStream(["LAB.X", "HALL"], es_uri=lab.uri, **ALICE) as stream, publisher(lab, ROOT) as root:
        for number in range(3_000):
            root.publish(["LAB.X", "HALL"][number % 2], bytes(20_000))
        (before,) = lab.subscribers()
        assert before["backlog"] > 1_000
        lab.change('subscribe = ["*", "!SECRET.*"]', 'subscribe = ["HALL"]')
        eventually(lambda: lab.subscribers()[0]["lost"].get("denied", 0) > 500)
        root.publish("HALL", "last")
        missed = subjects = 0
        while (event := stream.get(timeout=20)).msg != "last":
            missed += event.missed or 0
            subjects += event.subject == "HALL"
        missed += event.missed or 0
        assert missed == lab.subscribers()[0]["lost"]["denied"] and subjects == 1_500


def test_c40_a_publisher_that_waits_for_what_is_dropped_goes_on(tmp_path: Path) -> None:
    lab = Laboratory(tmp_path)
    with (
        running(lab, delivery_deadline=60.0),
        EventStream("LAB.X", backlog=1, overflow="block", es_uri=lab.uri, **ALICE),
        publisher(lab, ROOT) as root,
    ):
        held_up = in_background(lambda: [root.publish("LAB.X", bytes(100_000)) for _ in range(300)])
        eventually(lambda: lab.subscribers()[0]["backlog"] > 1)
        lab.change("block = true", "block = false")
        assert sum(held_up.result()) == 300


def test_c40_a_publisher_that_waits_for_a_group_that_may_not_block_any_more_goes_on(tmp_path: Path) -> None:
    lab = Laboratory(tmp_path)

    def backlog() -> int:
        with IdentProxy(lab.uri, ROOT["ident"], ROOT["user"]) as es:
            [group] = es.statistics()["groups"]
            return int(group["backlog"])

    with (
        running(lab, delivery_deadline=60.0),
        EventStream("LAB.X", group="workers", backlog=1, overflow="block", es_uri=lab.uri, **ALICE),
        publisher(lab, ROOT) as root,
    ):
        held_up = in_background(lambda: [root.publish("LAB.X", bytes(100_000)) for _ in range(300)])
        eventually(lambda: backlog() > 1)
        lab.change("block = true", "block = false")
        assert sum(held_up.result()) == 300


def test_c40_a_call_that_is_blocked_when_its_right_is_taken_publishes_nothing_more(tmp_path: Path) -> None:
    lab = Laboratory(tmp_path)
    with (
        running(lab, delivery_deadline=60.0),
        EventStream("LAB.X", backlog=1, overflow="block", es_uri=lab.uri, **ALICE) as stream,
    ):
        held_up = in_background(lambda: batch_of_alice(lab))
        eventually(lambda: lab.subscribers()[0]["accepted"] > 1)
        lab.change('publish = ["LAB.*"]', 'publish = ["LAB.*", "!LAB.X"]')
        with pytest.raises(SecurityError, match="publish the subject 'LAB.X' any more; the call was blocked"):
            held_up.result()
        shown = lab.subscribers()[0]["accepted"]
        assert [stream.get(timeout=20).msg for _ in range(shown)] == list(range(shown))
        assert shown < 3_000 and lab.subscribers()[0]["accepted"] == shown


def test_c40_a_call_that_is_blocked_when_its_user_is_removed_publishes_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the service waits until the client has read its last answers."""

    def end_later(client: Connection) -> None:
        client.closing = True
        asyncio.get_running_loop().call_later(1.0, client._transport.close)

    lab = Laboratory(tmp_path)
    lab.write(FILE.replace("admin = true", "admin = true\nblock = true"))
    with (
        running(lab, delivery_deadline=60.0),
        EventStream("LAB.X", backlog=1, overflow="block", es_uri=lab.uri, **ROOT) as stream,
    ):
        held_up = in_background(lambda: batch_of_alice(lab))
        eventually(lambda: lab.subscribers()[0]["accepted"] > 1)
        monkeypatch.setattr(Connection, "_end", end_later)
        lab.change("key of alice", "another key")
        eventually(lambda: accepts(lab, "another key"))
        shown = lab.subscribers()[0]["accepted"]
        assert [stream.get(timeout=20).msg for _ in range(shown)] == list(range(shown))
        with pytest.raises(ConnectionClosedError):
            held_up.result()
        assert shown < 3_000 and lab.subscribers()[0]["accepted"] == shown


def batch_of_alice(lab: Laboratory) -> object:
    """Publish more than a backlog takes, in one call."""
    with IdentProxy(lab.uri, ALICE["ident"], ALICE["user"]) as es:
        es._pyroSerializer = "msgpack"
        return es.publish_encoded([[["LAB.X"], encode(number)] for number in range(3_000)])


def accepts(lab: Laboratory, ident: str) -> bool:
    """Whether that is the passphrase of alice."""
    try:
        with IdentProxy(lab.uri, ident, "alice") as proxy:
            proxy._pyroBind()
    except AccessDeniedError:
        return False
    return True


def test_c40_a_user_that_is_removed_is_ended(lab: Laboratory) -> None:
    with contextlib.ExitStack() as stack:
        alice = stack.enter_context(publisher(lab, ALICE))
        subscriber = stack.enter_context(collecting(lab.uri, "LAB.X", **ALICE))
        stream = stack.enter_context(collecting(lab.uri, "LAB.X", kind=StreamCollector, **ALICE))
        root = stack.enter_context(publisher(lab, ROOT))
        assert root.publish("LAB.X", 1) == 2 and alice.publish("LAB.X", 2) == 2
        subscriber.wait(2)
        lab.change("key of alice", "another key")
        eventually(lambda: root.publish("LAB.X", 3) == 0)
        assert lab.subscribers() == []

        def denied() -> bool:
            with contextlib.suppress(OutcomeUnknownError):  # its connection had just ended
                with pytest.raises(AccessDeniedError, match="does not accept"):
                    alice.publish("LAB.X", 4)
                return True
            return False

        eventually(denied)
        with Publisher("another key", lab.uri, user="alice") as again:
            assert again.publish("LAB.X", 5) == 0
        assert [event.msg for event in subscriber.events][:2] == [1, 2]
        assert 5 not in subscriber.messages() + stream.messages()


def test_c40_a_member_that_may_not_be_in_its_group_any_more_leaves_it(lab: Laboratory) -> None:
    with (
        EventStream("LAB.X", group="workers", es_uri=lab.uri, **ALICE),
        publisher(lab, ROOT) as root,
    ):
        assert root.publish("LAB.X", 1) == 1
        lab.change('groups = ["workers"]', "groups = []")
        eventually(lambda: root.publish("LAB.X", 2) == 0)


def test_c40_who_watches_a_subject_is_told_no_more_than_it_may_publish(lab: Laboratory) -> None:
    told: list[tuple[str, int]] = []
    with publisher(lab, ALICE) as alice:
        refused(
            lambda: alice.on_interest("HALL", call=lambda subject, count: None),
            "may not publish the subject 'HALL'",
        )
        alice.on_interest("LAB.X", call=lambda subject, count: told.append((subject, count)))
        with EventStream("LAB.X", es_uri=lab.uri, **BOB):
            eventually(lambda: told == [("LAB.X", 1)])
            lab.change('subscribe = ["LAB.*", "$ES.SUBSCRIBER.*"]', "subscribe = []")
            eventually(lambda: told[1:] == [("LAB.X", 0)])


@pytest.mark.parametrize("kind", PUBLISHERS)
def test_c40_who_loses_the_right_to_a_subject_is_told_that_nobody_listens(
    lab: Laboratory, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it has the right again; of other subjects it is told, also after a reconnection."""
    connections = WatchersConnections(monkeypatch)
    calls, everything = Calls(), ('publish = ["LAB.*"]', 'publish = ["LAB.*", "!LAB.SECRET"]')
    with (
        PUBLISHERS[kind](es_uri=lab.uri, **ALICE) as alice,
        EventStream(["LAB.A", "LAB.SECRET"], es_uri=lab.uri, **BOB),
    ):
        alice.on_interest("LAB.A", "LAB.SECRET", call=calls)
        eventually(lambda: sorted(calls) == [("LAB.A", 1), ("LAB.SECRET", 1)])
        lab.change(*everything)
        eventually(lambda: calls.last("LAB.SECRET") == 0)
        calls.clear()
        connections.end_last()
        eventually(lambda: sorted(calls) == [("LAB.A", 1), ("LAB.SECRET", 0)])
        lab.change(*reversed(everything))
        eventually(lambda: calls.last("LAB.SECRET") == 1)
        assert calls.count(("LAB.A", 1)) == 1


# The file


def test_c40_a_wrong_file_is_one_line_with_the_place_when_it_starts(tmp_path: Path, spawn: Spawner) -> None:
    file = tmp_path / "laboratory.toml"
    file.write_text('[users.alice]\nident = "S3CRET"\npublish = "LAB.*"\n')
    for arguments in (["pyro_events.es", "-N", "-p", "0"], ["pyro_events.ns", "-p", "0"]):
        process = spawn("-m", *arguments, "-n", LOOPBACK, "--permissions", str(file))
        assert process.wait() == 2
        (line,) = process.stderr.splitlines()
        assert f"{file}: [users.alice]: publish must be a list, such as publish" in line
        assert "S3CRET" not in line
    with pytest.raises(ValueError, match=r"\[users.alice\]: publish must be a list"):
        EventServiceStarter(LOOPBACK, 0, options=ServiceOptions(permissions=file))


def test_c40_an_empty_path_is_an_error_and_not_a_service_without_permissions(spawn: Spawner) -> None:
    process = spawn("-m", "pyro_events.es", "-N", "-p", "0", env={"PYROEVENTS_PERMISSIONS": ""})
    assert process.wait() == 2 and "permissions is an empty path" in process.stderr


def test_c40_a_service_in_a_stock_daemon_takes_no_permissions(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="to a stock daemon no client can prove who it is"):
        EventService(ServiceOptions(permissions=tmp_path / "laboratory.toml"))


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP here")
def test_c28_c40_sighup_reads_the_file_again_and_a_wrong_one_changes_nothing(
    tmp_path: Path, spawn: Spawner
) -> None:
    lab = Laboratory(tmp_path)
    service = spawn(
        *("-m", "pyro_events.es", "-N", "-n", LOOPBACK, "-p", "0", "--permissions", str(lab.file)),
        ready="(?i)started",
    )
    lab.uri = service.wait_for(r"^URI = (\S+)")[1]
    lab.reload = lambda: service.send(signal.SIGHUP)
    with publisher(lab, ALICE) as alice:
        assert may_publish(alice, "LAB.X") and not may_publish(alice, "HALL")
        lab.change('publish = ["LAB.*"]', 'publish = ["HALL"]')
        eventually(lambda: may_publish(alice, "HALL"))
        assert not may_publish(alice, "LAB.X")
        lab.change('publish = ["HALL"]', 'publish = ["HALL", 7]')
        place = r"\[users.alice\]: publish must contain texts in quotes"
        service.wait_for(f"stay as they were.*{place}", stream="stderr")
        assert may_publish(alice, "HALL")
        lab.change('publish = ["HALL", 7]', 'publish = ["LAB.*"]')
        eventually(lambda: may_publish(alice, "LAB.X"))
    assert service.terminate() == 0
    assert service.stderr.count("stay as they were") == 1 and "Traceback" not in service.stderr


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP here")
def test_c40_the_users_of_a_name_server_are_read_again(tmp_path: Path, spawn: Spawner) -> None:
    lab = Laboratory(tmp_path)
    arguments = ("-n", LOOPBACK, "-p", "0", "--permissions", str(lab.file))
    names = spawn("-m", "pyro_events.ns", *arguments, ready="(?i)started")
    lab.uri = names.wait_for(r"^URI = (\S+)")[1]
    lab.reload = lambda: names.send(signal.SIGHUP)

    assert accepts(lab, "key of alice") and not accepts(lab, "another key")
    lab.change("key of alice", "another key")
    eventually(lambda: accepts(lab, "another key"))
    assert not accepts(lab, "key of alice")
