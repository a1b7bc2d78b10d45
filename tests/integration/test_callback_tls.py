"""A callback where one side speaks TLS and the other does not: the service's log says so."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import Pyro5
import pytest
from certificates import needs_openssl, one_way, settings, use
from contract import running
from listening import Collector, listening
from Pyro5.api import Daemon, Proxy, expose
from waiting import eventually

from pyro_events import Event, EventServiceStarter

pytestmark = needs_openssl


@expose
class Screen:
    """A subscriber of a stock Pyro5 daemon."""

    def event(self, event: Event) -> None:
        raise AssertionError("nothing can be delivered")


@contextlib.contextmanager
def stock_subscriber() -> Iterator[str]:
    """The URI of a subscriber in a stock daemon, with the TLS settings of now."""
    Pyro5.config.POLLTIMEOUT = 0.05
    with Daemon("127.0.0.1") as daemon:
        uri = str(daemon.register(Screen()))
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        yield uri
        daemon.shutdown()
        thread.join(10)


@pytest.mark.parametrize("mutual", [False, True])
def test_the_subscriber_speaks_tls_and_the_service_does_not(
    mutual: bool, caplog: pytest.LogCaptureFixture
) -> None:
    use(settings() if mutual else one_way(settings()))
    with stock_subscriber() as subscriber:
        use({})
        with running() as es, Proxy(es.uri) as stock:
            stock.subscribe("A", subscriber)
            eventually(lambda: "disconnected" in caplog.text)
        assert "TLS" in caplog.text


def test_the_service_speaks_tls_and_the_subscriber_does_not(caplog: pytest.LogCaptureFixture) -> None:
    with stock_subscriber() as subscriber:
        use(settings())
        with running() as es, Proxy(es.uri) as stock:
            stock.subscribe("A", subscriber)
            eventually(lambda: "disconnected" in caplog.text)
        assert "TLS" in caplog.text
        use({})


def test_a_service_that_comes_back_with_tls(
    free_port: Callable[[], int], caplog: pytest.LogCaptureFixture
) -> None:
    """Its subscribers say in their log why they cannot return, although the outage began as any other."""
    port = free_port()
    with EventServiceStarter("127.0.0.1", port, use_ns=False) as es:
        subscriber = Collector(es.uri)
        subscriber.subscribe("A")
        listening_still = contextlib.ExitStack()
        listening_still.enter_context(listening(subscriber))
        eventually(lambda: subscriber.statistics().connections == 1)
    with listening_still:
        eventually(lambda: "refused" in caplog.text)
        receiver = subscriber._Subscriber__receiver  # type: ignore[attr-defined]
        with contextlib.ExitStack() as stack:
            # Both are in one process: the subscriber must not connect while the settings are the service's.
            with receiver.connection.current.sending:
                use(settings())
                stack.enter_context(EventServiceStarter("127.0.0.1", port, use_ns=False))
                use({})
            eventually(lambda: "it speaks TLS, and this program does not" in caplog.text, 20)
            use(settings())
        use({})
