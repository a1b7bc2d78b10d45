"""The service, or the name server, killed, stopped under load, or out of descriptors."""

from __future__ import annotations

import resource
import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from listening import each_listener
from waiting import eventually

from pyro_events import Event, Publisher, ServiceUnreachableError, UnsupportedTypeError
from resilience import invariants
from resilience.ports import LOOPBACK, free_port
from resilience.processes import Cast
from resilience.scenario import LONG, Scenario
from resilience.servers import Ours

MakeStage = Callable[..., Scenario]


@pytest.mark.parametrize("scenario", ["callback", "stream", "asyncio"], indirect=True)
def test_a_killed_service_that_comes_back_finds_its_subscribers_again(scenario: MakeStage) -> None:
    """C27: and they know that something may be missing."""
    scene = scenario(quick=False)
    for _ in range(2):
        scene.server.actor.kill()
        scene.server.start()
        since = time.monotonic()
        scene.recovered(since, patience=LONG)
        scene.recovered(since, scene.calm, patience=LONG)
    reports = scene.finish()
    assert scene.verdict(reports, restarted=True) == []
    for name, publisher in (("calm", "calm publisher"), ("affected", "publisher")):
        listener = reports[name]
        assert len(listener["returns"]) == listener["unknown"] == 2
        # What the first service had accepted and not delivered is all that is missing.
        assert listener["received"] <= reports[publisher]["promised"] + reports[publisher]["unknown"]


@each_listener
def test_a_service_that_is_told_to_stop_under_load_delivers_what_it_accepted(scenario: MakeStage) -> None:
    """C28: not one accepted event is lost, though the publishers would go on and a subscriber lags."""
    scene = scenario(quick=False, rate=300.0, handler=("--pause", "0.005"))
    eventually(lambda: scene.account()["backlog"] > 50, LONG)
    scene.server.actor.signal(signal.SIGTERM)
    assert scene.server.actor.wait(LONG) == 0
    talked = scene.affected_publisher.ask("stop"), scene.calm_publisher.ask("stop")
    for publisher, listener in zip(talked, (scene.affected, scene.calm), strict=True):
        report = listener.ask("report")
        assert publisher["promised"] <= report["received"] <= publisher["promised"] + publisher["unknown"]
        assert invariants.order("a listener", report) == []
    for actor in scene.cast.actors:
        assert invariants.handled(actor.name, actor.complaints) == []


def test_a_name_server_that_comes_back_empty(tmp_path: Path) -> None:
    """C29: the service is known again, and events flow meanwhile."""
    port = free_port()
    names = {"PYRO_NS_HOST": LOOPBACK, "PYRO_NS_PORT": str(port)}
    start = ("-m", "Pyro5.nameserver", "-n", LOOPBACK, "-p", str(port), "-x")
    with Cast() as cast:
        first = cast.python(*start, obeys=False)
        first.line_with("URI")
        service = cast.python("-m", "pyro_events.es", "-n", LOOPBACK, "-p", "0", env=names, obeys=False)
        service.line_with("started")
        listener = cast.python(
            "-m", "resilience.programs.subscriber", "ours", "PYRONAME:Pyro.EventService", "A", env=names
        )
        publisher = cast.python(
            *("-m", "resilience.programs.publisher", "ours", "PYRONAME:Pyro.EventService", "A", "100", "A"),
            env=names,
        )
        listener.ready()
        publisher.ready()
        publisher.ask("start")
        first.kill()
        again = cast.python(*start, obeys=False)
        again.line_with("URI")
        program = "import pyro_events; pyro_events.Publisher().close()"

        def found() -> bool:
            """A program that is started now has to ask the name server."""
            return cast.python("-c", program, env=names).wait() == 0

        eventually(found, LONG, "the service to be known again")
        talked = publisher.ask("stop")
        eventually(lambda: listener.ask("report")["received"] == talked["promised"], LONG)
        assert invariants.held_up(talked) == []
        assert talked["unknown"] == talked["failed"] == 0
        assert listener.ask("report")["returns"] == []


def test_out_of_descriptors_it_neither_spins_nor_forgets_its_clients(scenario: MakeStage) -> None:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    scene = scenario(before=few)
    server = scene.server
    assert isinstance(server, Ours)
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(socket.create_connection((LOOPBACK, server.port), 5))
        since = time.monotonic()
        used = server.actor.processor_seconds()
        # It is held for two seconds; the silent clients are put out after as long, in vain.
        eventually(lambda: scene.calm.ask("report", since=since)["after"] >= 200, LONG)
        share = (server.actor.processor_seconds() - used) / (time.monotonic() - since)
        assert share < 0.5

    def admitted() -> bool:
        try:
            with Publisher(es_uri=server.address) as publisher:
                return publisher.publish("nobody listens", 1) == 0
        except ServiceUnreachableError:
            return False

    eventually(admitted, LONG)
    reports = scene.finish()
    assert scene.verdict(reports) == []
    assert reports["affected"]["received"] == reports["publisher"]["acknowledged"]


def test_what_cannot_be_carried_is_refused_before_it_leaves(scenario: MakeStage) -> None:
    scene = scenario()
    with Publisher(es_uri=scene.server.address) as publisher:
        with pytest.raises(UnsupportedTypeError, match="generator"):
            publisher.publish(["calm", "storm"], (number for number in range(3)))
        with pytest.raises(UnsupportedTypeError), publisher.pipeline() as pipeline:
            pipeline.publish("storm", Event)
    reports = scene.finish()
    assert scene.verdict(reports) == []
