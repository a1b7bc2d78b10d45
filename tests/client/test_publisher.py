"""Publisher: publishing to a real service, from any thread, and what it reports."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import Pyro5
import pytest
from fake_service import fake_service
from Pyro5.errors import NamingError

from pyro_events.client.publisher import Publisher
from pyro_events.constants import MAX_MESSAGE
from pyro_events.errors import (
    EventServiceError,
    MessageTooLargeError,
    OutcomeUnknownError,
    ServiceNotFoundError,
    UnsupportedTypeError,
)

if TYPE_CHECKING:
    from pyro_events import EventServiceStarter


def test_nobody_listens(service: EventServiceStarter) -> None:
    with Publisher(es_uri=service.uri) as publisher:
        assert publisher.publish("S", 1) == 0
        assert publisher.publish(["a", "b"], 1) == 0
        assert publisher.publish((name for name in "xyz"), 1) == 0
        statistics = publisher.statistics()
        assert (statistics.published, statistics.queued, statistics.unknown) == (6, 0, 0)
        assert statistics.connected and statistics.address == str(service.uri)
    assert not publisher.statistics().connected


def test_no_subject_publishes_nothing(service: EventServiceStarter) -> None:
    with Publisher(None, service.uri) as publisher:
        assert publisher.publish([], 1) == 0
        assert publisher.statistics().published == 0


@pytest.mark.parametrize("timeout", [math.inf, 10**400, 3_000_000])
def test_a_timeout_that_is_longer_than_the_system_can_wait(
    service: EventServiceStarter, timeout: float
) -> None:
    with Publisher(es_uri=service.uri) as publisher, publisher.pipeline() as fast:
        assert publisher.publish("A", 1, timeout=timeout) == 0
        fast.publish("A", 2)
        assert fast.flush(timeout) == 0
        assert publisher.statistics().reconnects == 0


def test_what_cannot_be_published(service: EventServiceStarter) -> None:
    with Publisher(esURI=service.uri) as publisher:
        with pytest.raises(ValueError, match="subject"):
            publisher.publish(["fine", "x" * 256], 1)
        with pytest.raises(TypeError):
            publisher.publish(b"S", 1)
        with pytest.raises(UnsupportedTypeError, match="message"):
            publisher.publish("S", [object()])
        with pytest.raises(MessageTooLargeError, match="in parts"):
            publisher.publish("S", bytes(MAX_MESSAGE))
        assert publisher.publish("S", bytes(MAX_MESSAGE - 100)) == 0
        assert publisher.statistics().published == 1


def test_the_arguments() -> None:
    with pytest.raises(TypeError, match="ident must be a passphrase, a str, not int"):
        Publisher(1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="empty passphrase"):
        Publisher(" ")
    with pytest.raises(TypeError, match="same argument"):
        Publisher(es_uri="PYRO:a@b:1", esURI="PYRO:a@b:1")


def test_naming_errors_are_caught_as_the_original_did(free_port: Callable[[], int]) -> None:
    Pyro5.config.NS_PORT = Pyro5.config.NS_BCPORT = free_port()
    with pytest.raises(NamingError) as caught:
        Publisher()
    assert isinstance(caught.value, ServiceNotFoundError)


def test_after_close(service: EventServiceStarter) -> None:
    publisher = Publisher(es_uri=service.uri)
    publisher.close()
    publisher.close()
    with pytest.raises(EventServiceError, match="this publisher is closed"):
        publisher.publish("S", 1)


def test_many_threads(service: EventServiceStarter) -> None:
    with Publisher(es_uri=service.uri) as publisher:

        def publish() -> None:
            for number in range(100):
                publisher.publish("S", number)

        threads = [threading.Thread(target=publish) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert publisher.statistics().published == 800


def test_an_unknown_outcome_is_counted_and_not_repeated() -> None:
    with fake_service() as fake, Publisher(es_uri=fake.uri) as publisher:
        connection = fake.next()
        threading.Thread(target=lambda: (connection.call(), connection.close())).start()
        with pytest.raises(OutcomeUnknownError):
            publisher.publish(["a", "b"], 1)
        assert publisher.statistics().unknown == 2


def test_more_subjects_than_fit_into_one_call(service: EventServiceStarter) -> None:
    names = [f"{number:03}" + "x" * 61 for number in range(1000)]
    with Publisher(es_uri=service.uri) as publisher, publisher.pipeline() as fast:
        for publish in (publisher.publish, fast.publish):
            with pytest.raises(MessageTooLargeError, match="fewer subjects at once"):
                publish(names, 1)
        assert publisher.publish([name[:-2] for name in names], bytes(100)) == 0
        assert publisher.publish([name[:-2] for name in names], bytes(100_000)) == 0
        assert publisher.publish(["\xe9" * 25 + name[:10] for name in names], 1) == 0
