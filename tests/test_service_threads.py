"""The threads that run a service, in which a call to a service would wait for itself."""

from __future__ import annotations

import os

import pytest
from contract import in_background

from pyro_events import service_threads
from pyro_events.errors import EventServiceError


@pytest.fixture(autouse=True)
def no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_threads, "running", set())


def test_a_call_is_refused_in_a_thread_that_runs_a_service_and_nowhere_else() -> None:
    service_threads.refuse_in_service_thread()
    service_threads.enter()
    assert service_threads.is_service_thread()
    with pytest.raises(EventServiceError, match="wait for itself"):
        service_threads.refuse_in_service_thread()
    assert not in_background(service_threads.is_service_thread).result()
    in_background(service_threads.refuse_in_service_thread).result()
    service_threads.leave()
    assert not service_threads.is_service_thread()
    service_threads.refuse_in_service_thread()


def test_leaving_twice_does_no_harm() -> None:
    service_threads.leave()
    service_threads.enter()
    service_threads.leave()
    service_threads.leave()
    assert not service_threads.running


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_of_a_forked_child_only_its_own_thread_is_left() -> None:
    service_threads.running.update({-1, -2})
    service_threads._after_fork()
    assert not service_threads.running
    service_threads.enter()
    service_threads.running.add(-1)
    service_threads._after_fork()
    assert len(service_threads.running) == 1 and service_threads.is_service_thread()
