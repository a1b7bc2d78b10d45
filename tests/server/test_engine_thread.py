"""An engine in a thread of its own, called from this one."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from certificates import needs_openssl, settings, use

from pyro_events import service_threads
from pyro_events.errors import EventServiceError
from pyro_events.options import ServiceOptions
from pyro_events.server.engine_thread import EngineThread
from pyro_events.server.objects import DeferredResult


def test_calls_are_made_on_the_loop_and_their_results_come_back() -> None:
    thread = EngineThread(ServiceOptions(drain=0.1))
    try:
        here = threading.get_ident()
        assert thread.call(threading.get_ident) != here
        assert thread.call(service_threads.is_service_thread)
        assert thread.call(max, 3, 5) == 5
        with pytest.raises(ZeroDivisionError):
            thread.call(divmod, 1, 0)
        assert thread.call(thread.methods.publish_message, ["A"], b"1") == 0
    finally:
        thread.stop()
    assert not service_threads.is_service_thread()


def test_a_result_that_comes_later_is_waited_for() -> None:
    thread = EngineThread(ServiceOptions(drain=0.1))
    try:
        deferred = DeferredResult()

        def later() -> Any:
            thread._loop.call_later(0.01, deferred.settle, "result")
            return deferred

        assert thread.call(later) == "result"
    finally:
        thread.stop()


@needs_openssl
def test_an_engine_that_cannot_start_leaves_no_thread() -> None:
    use({**settings(), "PYRO_SSL_CLIENTCERT": "/nowhere"})
    before = threading.active_count()
    with pytest.raises(EventServiceError, match="SSL_CLIENTCERT"):
        EngineThread(ServiceOptions())
    assert threading.active_count() == before
