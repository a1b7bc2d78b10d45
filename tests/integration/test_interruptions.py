"""What runs in the middle of our calls: signals' handlers that raise, publish or close, and `__del__`."""

from __future__ import annotations

import signal
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from contract import Background, in_background, running, subscribe
from fake_service import fake_service
from fake_subscriber import fake_subscriber
from listening import Collector, collecting, listening
from processes import Spawner
from waiting import eventually

from pyro_events import (
    AnswerTimeoutError,
    EventServiceError,
    EventServiceStarter,
    OutcomeUnknownError,
    Publisher,
    Subscriber,
)
from pyro_events.client.dispatch.stall_monitor import monitor

PROGRAM = Path(__file__).parent / "programs" / "interrupted_publisher.py"
needs_alarm = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers here")


def interrupt_main() -> None:
    """Have the main thread run its handler of SIGALRM, whatever it waits for."""
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGALRM)


@contextmanager
def handling(number: int, handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


class Ordered(Collector):
    """One by one, so that what it has shows the order."""

    def __init__(self, es_uri: str) -> None:
        super().__init__(es_uri)
        self.setThreading(False)


@needs_alarm
@pytest.mark.timeout(180)
@pytest.mark.parametrize("mode", ["publish", "nested", "pipeline", "mixed"])
def test_c3_in_a_storm_of_signals_every_event_arrives_once_or_not_at_all(
    service: EventServiceStarter, spawn: Spawner, mode: str
) -> None:
    """And the program sees its own exceptions as it raised them, and the numbers of a pipeline are right."""
    with Ordered(service.uri) as collector, listening(collector):
        collector.subscribe("storm")
        program = spawn(str(PROGRAM), service.uri, "2", mode)
        program.wait_for("^done", timeout=60)
        eventually(lambda: collector.messages()[-1:] == ["end"], 20)
        told = defaultdict(list)
        for line in program.stdout.splitlines():
            what, _, name = line.partition(" ")
            told[what].append(name)
        arrived = Counter(collector.messages())
    assert told["wrong:"] == []
    assert [name for name, times in arrived.items() if times > 1] == []
    assert [name for name in told["returned"] if not arrived[name]] == []
    assert [name for name in told["refused"] if arrived[name]] == []
    missing = sum(not arrived[name] for name in told["accepted"])
    assert missing <= sum(map(int, told["lost"]))
    assert told["returned" if mode != "pipeline" else "accepted"]
    assert told["raised"] or mode == "nested"


@needs_alarm
def test_c23_a_handler_publishes_while_its_thread_waits_for_an_answer() -> None:
    with running(backlog=1, delivery_deadline=60) as service, fake_subscriber() as frozen:
        subscribe(service.uri, frozen.uri, "full")
        with collecting(service.uri, "free") as collector, Publisher(es_uri=service.uri) as publisher:
            queued: list[int] = []
            taking: list[Background] = []

            def handler(number: int, frame: FrameType | None) -> None:
                queued.append(publisher.publish("free", "from the handler"))
                with publisher.pipeline() as fast:
                    fast.publish("free", "from its pipeline")
                frozen.greet()
                taking.append(in_background(lambda: frozen.take(5)))

            with handling(signal.SIGALRM, handler):
                signal.setitimer(signal.ITIMER_REAL, 0.3)
                for number in range(5):
                    publisher.publish("full", number)
            assert queued == [1] and len(taking[0].result()) == 5
            assert [event.msg for event in collector.wait(2)] == ["from the handler", "from its pipeline"]
            assert publisher.statistics().published == 7


@needs_alarm
def test_c23_a_pipeline_is_published_to_in_the_middle_of_itself() -> None:
    with running(backlog=1, delivery_deadline=60) as service, fake_subscriber() as frozen:
        subscribe(service.uri, frozen.uri, "full")
        with Publisher(es_uri=service.uri) as publisher:
            told: list[str] = []
            taking: list[Background] = []
            with publisher.pipeline() as fast:

                def handler(number: int, frame: FrameType | None) -> None:
                    fast.publish("else", "from the handler")
                    fast.publish("else", bytes(40_000))
                    with pytest.raises(EventServiceError, match="would wait for itself") as caught:
                        fast.flush()
                    told.append(str(caught.value))
                    frozen.greet()
                    taking.append(in_background(lambda: frozen.take(5)))

                with handling(signal.SIGALRM, handler):
                    for number in range(5):
                        fast.publish("full", number)
                    signal.setitimer(signal.ITIMER_REAL, 0.3)
                    fast.flush()
            assert len(told) == 1 and publisher.statistics().published == 7
            assert len(taking[0].result()) == 5


def test_c3_a_timeout_bounds_the_wait_and_the_event_keeps_its_place() -> None:
    with running(backlog=2, delivery_deadline=60) as service, fake_subscriber() as frozen:
        subscribe(service.uri, frozen.uri, "full")
        with Publisher(es_uri=service.uri) as publisher:
            late = 0
            for number in range(6):
                try:
                    assert publisher.publish("full", number, timeout=0.1) == 1
                except AnswerTimeoutError as error:
                    assert isinstance(error, TimeoutError) and isinstance(error, OutcomeUnknownError)
                    late += 1
            assert late >= 2 and publisher.statistics().unknown == late
            with Publisher(es_uri=service.uri) as another:
                assert another.publish("else", 1, timeout=10) == 0
            fast = publisher.pipeline()
            fast.publish("full", 6)
            with pytest.raises(AnswerTimeoutError, match="1 events of a pipeline were not acknowledged"):
                fast.flush(timeout=0.1)
            frozen.greet()
            assert frozen.messages(7) == list(range(7))
            assert fast.flush() == 1
            assert publisher.publish("else", 2) == 0
            assert publisher.statistics().reconnects == 0


@pytest.mark.parametrize(
    "timeout, kind", [("1", TypeError), (True, TypeError), (-1, ValueError), (float("nan"), ValueError)]
)
def test_c3_a_timeout_that_is_not_a_time(
    service: EventServiceStarter, timeout: object, kind: type[Exception]
) -> None:
    with Publisher(es_uri=service.uri) as publisher:
        with pytest.raises(kind, match="timeout"):
            publisher.publish("A", 1, timeout=timeout)  # type: ignore[arg-type]
        with publisher.pipeline() as fast, pytest.raises(kind, match="timeout"):
            fast.flush(timeout)  # type: ignore[arg-type]


def test_c23_a_call_in_the_services_own_thread_is_refused_at_once(service: EventServiceStarter) -> None:
    """The collector may run a __del__ there; nobody could answer while it waits."""
    told: list[BaseException] = []

    class Late:
        def __del__(self) -> None:
            try:
                publisher.publish("A", 1)
            except EventServiceError as error:
                told.append(error)

    with Publisher(es_uri=service.uri) as publisher:
        loop = service._loop
        assert loop is not None
        loop.call_soon_threadsafe(Late)  # it is collected where it was made
        eventually(lambda: told)
        assert "wait for itself" in str(told[0])
        assert publisher.publish("A", 2) == 0


@needs_alarm
def test_c23_close_in_a_handler_while_its_thread_subscribes() -> None:
    """It unsubscribes over a connection of its own, and waits for nothing that its own thread holds."""
    with fake_service() as fake:
        subscriber = Subscriber(es_uri=fake.uri)
        first = fake.next()
        subscribing = in_background(lambda: subscriber.subscribe("A"))
        first.answer(first.call()[0], None)
        subscribing.result()
        told: list[str] = []

        def handler(number: int, frame: FrameType | None) -> None:
            subscriber.close()
            told.append("closed")

        def serve() -> None:
            assert first.call()[1] == "subscribe"  # and does not answer it
            interrupt_main()
            second = fake.next()
            seq, method, arguments = second.call()
            told.append(f"{method} {arguments[0]}")
            second.answer(seq, 0)

        serving = in_background(serve)
        with handling(signal.SIGALRM, handler), pytest.raises(OutcomeUnknownError, match="closed it"):
            subscriber.subscribe("B")
        serving.result()
        assert told == ["unsubscribe ['A']", "closed"]
        subscriber.close()


@pytest.mark.usefixtures("each_way")
@needs_alarm
@pytest.mark.parametrize("action", ["close", "abort"])
def test_c23_close_and_abort_in_a_handler_end_listen(service: EventServiceStarter, action: str) -> None:
    with Collector(service.uri) as collector, Publisher(es_uri=service.uri) as publisher:
        collector.subscribe("A")

        def handler(number: int, frame: FrameType | None) -> None:
            getattr(collector, action)()

        def interrupt() -> None:
            publisher.publish("A", 1)
            collector.wait(1)
            interrupt_main()

        with handling(signal.SIGALRM, handler):
            interrupting = in_background(interrupt)
            collector.listen()
            interrupting.result()
        assert publisher.publish("A", 2) == (0 if action == "close" else 1)


@pytest.mark.parametrize(
    "held",
    [
        lambda receiver: receiver.dispatcher.limits.lock,
        lambda receiver: receiver.remote._calling,
        lambda receiver: receiver.reconnection._reconnector._lock,
        lambda receiver: receiver.daemon._lock,
        lambda receiver: receiver.daemon.transportServer._closing,
        lambda receiver: receiver.connection.current.sending,
        lambda receiver: receiver.connection.current.reader.lock,
        lambda receiver: monitor._lock,
    ],
    ids=["dispatcher", "remote", "reconnector", "daemon", "accepting", "sending", "receiving", "monitor"],
)
def test_c23_close_wherever_its_thread_is(service: EventServiceStarter, held: Callable[[Any], Any]) -> None:
    """A __del__ may run where any lock is held: it ends the subscriber without a wait for that lock."""
    with Publisher(es_uri=service.uri) as publisher:
        collector = Collector(service.uri)
        collector.listen_in_background()
        collector.subscribe("A")
        publisher.publish("A", 1)
        collector.wait(1)
        receiver = collector._Subscriber__receiver  # type: ignore[attr-defined]

        def close() -> None:
            with held(receiver):
                collector.abort()
                collector.close()

        in_background(close).result()
        assert publisher.publish("A", 2) == 0
