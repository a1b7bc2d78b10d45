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
from waiting import eventually

from pyro_events import Event, Publisher, ServiceUnreachableError, UnsupportedTypeError
from resilience import invariants
from resilience.actors import Cast
from resilience.ports import LOOPBACK, free_port
from resilience.servers import Ours
from resilience.stage import LONG, Stage

MakeStage = Callable[..., Stage]


def test_a_killed_service_that_comes_back_finds_its_subscribers_again(stage: MakeStage) -> None:
    """C27: and they know that something may be missing."""
    scene = stage(quick=False)
    for _ in range(2):
        scene.server.actor.kill()
        scene.server.start()
        since = time.monotonic()
        scene.recovered(since, patience=LONG)
        scene.recovered(since, scene.calm, patience=LONG)
    reports = scene.finish()
    assert scene.verdict(reports, restarted=True) == []
    for name, talker in (("calm", "calm talker"), ("victim", "talker")):
        listener = reports[name]
        assert len(listener["returns"]) == listener["unknown"] == 2
        # What the first service had accepted and not delivered is all that is missing.
        assert listener["received"] <= reports[talker]["promised"] + reports[talker]["unknown"]


def test_a_service_that_is_told_to_stop_under_load_delivers_what_it_accepted(stage: MakeStage) -> None:
    """C28: not one accepted event is lost, though the publishers would go on and a subscriber lags."""
    scene = stage(quick=False, rate=300.0, handler=("--pause", "0.005"))
    eventually(lambda: scene.books()["backlog"] > 50, LONG)
    scene.server.actor.signal(signal.SIGTERM)
    assert scene.server.actor.wait(LONG) == 0
    talked = scene.talker_of_victim.ask("stop"), scene.calm_talker.ask("stop")
    for talker, listener in zip(talked, (scene.victim, scene.calm), strict=True):
        report = listener.ask("report")
        assert talker["promised"] <= report["received"] <= talker["promised"] + talker["unknown"]
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
            "-m", "resilience.listener", "ours", "PYRONAME:Pyro.EventService", "A", env=names
        )
        talker = cast.python(
            *("-m", "resilience.talker", "ours", "PYRONAME:Pyro.EventService", "A", "100", "A"), env=names
        )
        listener.ready()
        talker.ready()
        talker.ask("start")
        first.kill()
        again = cast.python(*start, obeys=False)
        again.line_with("URI")
        program = "import pyro_events; pyro_events.Publisher().close()"

        def found() -> bool:
            """A program that is started now has to ask the name server."""
            return cast.python("-c", program, env=names).wait() == 0

        eventually(found, LONG, "the service to be known again")
        talked = talker.ask("stop")
        eventually(lambda: listener.ask("report")["received"] == talked["promised"], LONG)
        assert invariants.held_up(talked) == []
        assert talked["unknown"] == talked["failed"] == 0
        assert listener.ask("report")["returns"] == []


def test_out_of_descriptors_it_neither_spins_nor_forgets_its_clients(stage: MakeStage) -> None:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    scene = stage(before=few)
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
    assert reports["victim"]["received"] == reports["talker"]["acknowledged"]


def test_what_cannot_be_carried_is_refused_before_it_leaves(stage: MakeStage) -> None:
    scene = stage()
    with Publisher(es_uri=scene.server.address) as publisher:
        with pytest.raises(UnsupportedTypeError, match="generator"):
            publisher.publish(["calm", "storm"], (number for number in range(3)))
        with pytest.raises(UnsupportedTypeError), publisher.pipeline() as pipeline:
            pipeline.publish("storm", Event)
    reports = scene.finish()
    assert scene.verdict(reports) == []
