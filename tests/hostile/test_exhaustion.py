"""Too much of everything: descriptors, connections, subjects, patterns; held to what was promised."""

from __future__ import annotations

import contextlib
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgpack
import Pyro5.errors
import pytest
from accounts import cpu, descriptors, memory, needs_proc, no_more_memory
from contract import in_background
from fake_subscriber import fake_subscriber
from processes import Spawner
from Pyro5.api import Proxy
from raw_client import RawClient
from targets import Installation, Target
from waiting import eventually

from pyro_events import EVENTSERVER_NAME, Publisher, ServiceUnreachableError, Subscriber
from pyro_events.wire.frames import BATCH, CONNECT_FAIL, INVOKE, MSGPACK, write_frame

resource = pytest.importorskip("resource")
pytestmark = needs_proc


def limit_descriptors(pid: int, most: int) -> int:
    """Set how many files a process may open; returns the old limit."""
    hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
    return int(resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, hard))[0])


def crowd(affected: Target, size: int, stack: contextlib.ExitStack) -> list[RawClient]:
    """So many connections, which say nothing; those that the system lets in."""
    clients = []
    for _ in range(size):
        with contextlib.suppress(OSError):
            clients.append(stack.enter_context(RawClient(affected.uri)))
    return clients


# 13


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_process_without_a_descriptor_left(spawn: Spawner, loop: str) -> None:
    """It does not spin, connected clients are served, and it recovers by itself."""
    installation = Installation(spawn, loop=loop)
    for name in ("service", "subscriber"):
        affected = Target(installation, name)
        with Publisher(es_uri=installation.uri) as publisher, contextlib.ExitStack() as stack:
            publisher.publish("health", "before")
            before = limit_descriptors(affected.pid, descriptors(affected.pid))
            crowd(affected, 40, stack)
            began, used = time.monotonic(), cpu(affected.pid)
            for number in range(10):
                assert publisher.publish("health", f"{name}-{number}") == 1
                installation.subscriber.wait_for(f"^got {name}-{number}$", 3)
            eventually(lambda began=began: time.monotonic() - began > 1)
            spent = (cpu(affected.pid) - used) / (time.monotonic() - began)
            assert spent < 0.25, f"{name}: {spent:.0%} of a processor"
            limit_descriptors(affected.pid, before)
        installation.check()


def test_the_last_descriptors_are_not_for_clients(spawn: Spawner) -> None:
    """They are for deliveries to subscribers; a client that is refused is told why."""
    installation = Installation(spawn, "--max-per-host", "10000")
    service = Target(installation, "service")
    limit_descriptors(service.pid, 64)
    with contextlib.ExitStack() as stack:
        clients = []
        with pytest.raises(ServiceUnreachableError, match="as many connections as its process may open"):
            while len(clients) < 64:
                clients.append(stack.enter_context(Publisher(es_uri=installation.uri)))
        assert len(clients) > 10
        with fake_subscriber() as subscriber, Proxy(installation.uri) as stranger:
            with pytest.raises(Pyro5.errors.CommunicationError):
                stranger.statistics()
            assert clients[0].publish("A", 1) == 0
            clients.pop().close()
            eventually(lambda: subscribed(stranger, subscriber.uri))
            assert clients[0].publish("A", 1) == 1
            subscriber.greet()
            subscriber.take(1)
    eventually(lambda: descriptors(service.pid) < 30)
    installation.check()


def subscribed(stranger: Proxy, uri: str) -> bool:
    try:
        stranger.subscribe("A", uri)
    except Pyro5.errors.CommunicationError:
        return False
    return True


def test_a_service_may_open_as_many_files_as_it_needs(installation: Installation) -> None:
    soft, hard = resource.prlimit(installation.service.pid, resource.RLIMIT_NOFILE)
    assert soft == hard or soft >= 20_000


# Issue "Safe to leave running", limits under pressure


def test_connections_over_the_limit_are_refused_soon_while_the_loop_goes_on(spawn: Spawner) -> None:
    installation = Installation(spawn, "--max-connections", "30", "--max-per-host", "30")
    service = Target(installation, "service")
    with contextlib.ExitStack() as stack:
        publisher = stack.enter_context(Publisher(es_uri=installation.uri))
        clients = []
        with contextlib.suppress(AssertionError):
            while len(clients) < 31:
                clients.append(stack.enter_context(service.stranger()))
        assert 25 < len(clients) < 30
        used = cpu(service.pid)
        took = []
        for number in range(300):
            began = time.monotonic()
            with service.stranger(greeted=False) as refused:
                frame = refused.frame()
                assert frame is not None and frame.type == CONNECT_FAIL
                assert b"has 30 connections, which is its limit" in frame.payload
            took.append(time.monotonic() - began)
            if number % 50 == 0:
                assert publisher.publish("health", f"refused-{number}") == 1
                installation.subscriber.wait_for(f"^got refused-{number}$", 3)
        assert cpu(service.pid) - used < 1
        assert statistics.median(took) < 0.5
    eventually(lambda: admitted(installation.uri))
    installation.check()


def admitted(uri: str) -> bool:
    try:
        Publisher(es_uri=uri).close()
    except ServiceUnreachableError:
        return False
    return True


# 27


@contextlib.contextmanager
def subscribed_with(installation: Installation, how: str, names: object, **options: object) -> Iterator[None]:
    """A subscriber that never answers."""
    with fake_subscriber("silent") as silent, Proxy(installation.uri) as stranger:
        getattr(stranger, how)(names, silent.uri, options or None)
        silent.greet()
        try:
            yield
        finally:
            silent.leave()


def test_a_flood_of_subjects(installation: Installation) -> None:
    """Subjects without listeners, and dropped events, leave nothing in memory; neither does the match cache.

    The first flood fills what remembers the latest subjects. The second one would take 60 MiB more if that
    had no bound.
    """
    service = Target(installation, "service")
    flood(service, 1)
    with (
        subscribed_with(installation, "subscribeMatch", "^FLOOD", backlog=1000, overflow="drop-oldest"),
        no_more_memory(service.pid, 24),
    ):
        flood(service, 2)


def flood(service: Target, number: int) -> None:
    with service.stranger() as client:
        for first in range(0, 60_000, 250):  # as many as a call may have, with names this long
            names = [f"FLOOD-{number}-{first + each}-{'x' * 220}" for each in range(250)]
            assert isinstance(client.call("publish_encoded", [[names, b"\xc0"]]), int)


def test_what_subscriptions_hold_is_bounded(installation: Installation) -> None:
    """Ten invented subscribers want as many names, of four bytes a character, as each may have."""
    service = Target(installation, "service")
    with (
        contextlib.ExitStack() as stack,
        service.stranger() as client,
        no_more_memory(service.pid, 160),
    ):
        refusals = []
        for _ in range(10):
            silent = stack.enter_context(fake_subscriber("invented"))
            for first in range(0, 10_000, 50):
                names = [f"{first + each}".ljust(255, "\N{GRINNING FACE}") for each in range(50)]
                refusals.append(client.call("subscribe", names, silent.uri))
        refused = [each for each in refusals if each is not None]
        assert "--host-subscription-bytes" in str(refused[-1])
        assert 64 << 19 < client.call("statistics")["subscription_bytes"] <= 64 << 20
    eventually(lambda: len(statistics_of(installation)) == 1)


def statistics_of(installation: Installation) -> list[object]:
    with Proxy(installation.uri) as service:
        subscribers: list[object] = service.statistics()["subscribers"]
        return subscribers


def test_patterns_take_no_more_than_they_count_for(spawn: Spawner) -> None:
    """RE2 has its own heap. A third of a set may be removed ones."""
    program = Path(__file__).parent / "programs" / "pattern_memory.py"
    process = spawn(str(program), env={"PYTHONPATH": str(Path(__file__).parents[2])}, timeout=60)
    counted, taken = map(int, process.wait_for(r"^(\d+) (\d+)$", 60).groups())
    assert taken < 1.5 * counted


def test_links_to_invented_subscribers_leave_files_for_others(spawn: Spawner) -> None:
    """A host may have half of the subscribers that there are files for."""
    installation = Installation(spawn)
    service = Target(installation, "service")
    limit_descriptors(service.pid, 200)
    with socket.create_server(("127.0.0.1", 0), backlog=500) as silent, service.stranger() as client:
        port = silent.getsockname()[1]
        answers = [
            client.call("subscribe", "A", f"PYRO:invented{number}@127.0.0.1:{port}") for number in range(300)
        ]
        assert "--max-per-host" in str(answers[-1])
        assert answers[:30] == [None] * 30
        with RawClient(installation.uri) as other:
            other.greet()
            assert other.call("publish", "nobody", 1) == 0
    eventually(lambda: descriptors(service.pid) < 60)
    installation.check()


def test_backlogs_are_bounded_by_bytes(installation: Installation) -> None:
    service = Target(installation, "service")
    options = {"backlog_bytes": 4 << 20, "overflow": "latest"}
    with (
        subscribed_with(installation, "subscribe", "LARGE", **options),
        no_more_memory(service.pid, 40),
        Publisher(es_uri=installation.uri) as publisher,
    ):
        for number in range(100):
            publisher.publish("LARGE", bytes([number]) * (1 << 20))


def test_half_read_calls_cost_no_more_than_was_sent(installation: Installation) -> None:
    """A gigabyte is announced, a few kilobytes come."""
    service = Target(installation, "service")
    with contextlib.ExitStack() as stack, no_more_memory(service.pid, 40):
        for _ in range(100):
            client = stack.enter_context(service.stranger())
            body = msgpack.packb(["Pyro.EventService", "publish_encoded", [[["A", bytes(8_000_000)]]], {}])
            head = bytearray(40)
            head[:] = whole_header(len(body))
            client.send(bytes(head) + body[:10_000])
        installation.check()


def whole_header(size: int) -> bytes:
    from pyro_events.wire.frames import INVOKE, MSGPACK, write_header

    return write_header(INVOKE, 0, MSGPACK, 1, size)


# 19, 20

SLOW = [
    r"(a+)+$",
    r"(a|aa)+$",
    r"(a|a?)+$",
    r"(.*)*b",
    r"(?:a?){50}a{50}",
    r"(x+x+)+y",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
]


def test_patterns_that_take_for_ever_elsewhere(installation: Installation) -> None:
    with (
        subscribed_with(installation, "subscribeMatch", SLOW, overflow="drop-oldest"),
        Publisher(es_uri=installation.uri) as publisher,
    ):
        used = cpu(installation.service.pid)
        for letter in "ax":
            publisher.publish(letter * 254 + "!", 1)
        assert cpu(installation.service.pid) - used < 1


def test_hostile_patterns_are_refused_and_cost_little(installation: Installation) -> None:
    hostile = [
        "(" * 255,
        "((a{100}){100}){100}",
        "a{1000}" * 30,
        r"(?=a)",
        r"(a)\1",
        "[" * 200,
        "\\",
        "a**" * 80,
    ]
    with fake_subscriber() as subscriber, Proxy(installation.uri) as stranger:
        used = cpu(installation.service.pid)
        for pattern in hostile:
            with pytest.raises(ValueError):
                stranger.subscribeMatch(pattern, subscriber.uri)
        assert cpu(installation.service.pid) - used < 1


def test_the_name_server_is_as_hard_to_keep_busy(spawn: Spawner, free_port: Callable[[], int]) -> None:
    port = free_port()
    env = {"PYRO_NS_HOST": "127.0.0.1", "PYRO_NS_PORT": str(port)}
    options = ["-n", "127.0.0.1", "-p", "0", "--embed-ns", "--ns-host", "127.0.0.1", "--ns-port", str(port)]
    es = spawn("-m", "pyro_events.es", *options, env=env, ready="started")
    with Proxy(f"PYRO:Pyro.NameServer@127.0.0.1:{port}") as names:
        names.register("a" * 100 + "!", "PYRO:x@127.0.0.1:1")
        used = cpu(es.pid)
        for pattern in SLOW:
            names.list(regex=pattern)
        assert cpu(es.pid) - used < 1
    assert es.returncode is None


def ask_for_statistics(uri: str) -> bytes:
    """3,000 calls, each of which is answered with some 700 KB."""
    return client_call("statistics") * 3000


def ask_in_a_batch(uri: str) -> bytes:
    """The same in one call of 30 KB; all the answers together would be 2 GB."""
    body = msgpack.packb([EVENTSERVER_NAME, "<batch>", [["statistics", [], {}]] * 2000, {}])
    return write_frame(INVOKE, BATCH, MSGPACK, 1, body)


def subscribe_to_patterns(uri: str) -> bytes:
    """3,000 patterns that nobody has asked for before, each of which takes two milliseconds to compile."""
    return b"".join(
        client_call("subscribeMatch", [rf"[^é]*{number}.{{1,70}}"], uri) for number in range(3000)
    )


def client_call(method: str, *arguments: object) -> bytes:
    return write_frame(
        INVOKE, 0, MSGPACK, 1, msgpack.packb([EVENTSERVER_NAME, method, arguments, {}], use_bin_type=True)
    )


@pytest.mark.parametrize("calls", [ask_for_statistics, ask_in_a_batch, subscribe_to_patterns])
def test_a_client_that_asks_for_as_much_as_it_can_at_once(
    installation: Installation, calls: Callable[[str], bytes]
) -> None:
    """It reads what it is answered as fast as it can, so that nothing but its turn ends it."""
    service = Target(installation, "service")
    with fake_subscriber("famous") as subscriber, service.stranger() as client:
        for start in range(10):
            names = [f"{start}-{number}".ljust(60, ".") for number in range(1000)]
            assert client.call("subscribe", names, subscriber.uri) is None
        with no_more_memory(service.pid, 150):
            sending = in_background(lambda: client.send(calls(subscriber.uri)))
            reading = in_background(lambda: read_until_shut(client))
            for _ in range(5):
                installation.check()
            client.sock.shutdown(socket.SHUT_RDWR)
            sending.result()
            assert reading.result() > 0
    installation.check()


def read_until_shut(client: RawClient) -> int:
    """How many bytes came."""
    size = 0
    with contextlib.suppress(OSError):
        while data := client.sock.recv(1 << 20):
            size += len(data)
    return size


# 14, 16


class Wild(Subscriber):
    """Whose handler raises what ends threads elsewhere."""

    def __init__(self, uri: str) -> None:
        super().__init__(es_uri=uri)
        self.count = 0

    def event(self, event: object) -> None:
        self.count += 1
        raise (SystemExit, KeyboardInterrupt, GeneratorExit)[self.count % 3]


def test_a_handler_that_raises_what_ends_a_thread(installation: Installation) -> None:
    with Wild(installation.uri) as wild, Publisher(es_uri=installation.uri) as publisher:
        wild.subscribe("wild")
        listening = in_background(wild.listen)
        for _ in range(7):
            publisher.publish("wild", 1)
        eventually(lambda: wild.statistics().failed == 7)
        wild.abort()
        listening.result()


def test_no_memory_is_kept_for_clients_that_have_gone(installation: Installation) -> None:
    for name in ("service", "subscriber"):
        affected = Target(installation, name)
        for measured in (False, True):
            before = memory(affected.pid)
            for _ in range(300):
                with affected.stranger():
                    pass
            if measured:
                eventually(lambda affected=affected, before=before: memory(affected.pid) - before < 5)
