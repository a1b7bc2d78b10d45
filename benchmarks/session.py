"""One measurement of one system: its server, its child processes, and the steps between them.

Knows: the order in which things start, and one deadline for all of it. Must not know: any case.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from .children.processes import Child, free_port, start_worker, wait_for_port
from .children.tasks import Listen, Publish, Serve, Task
from .systems import SYSTEMS


@dataclass
class Outcome:
    """The figures of one phase. Seconds on the common clock; cpu in seconds of processor time.

    start: the first publisher began. published: the last one was done. delivered: the last event had been
    handled. latencies: nanoseconds.
    """

    start: float
    published: float
    delivered: float
    cpu: dict[str, float] = field(default_factory=dict)
    latencies: list[int] = field(default_factory=list)

    def rate(self, events: int) -> float:
        """Events per second, from the first publish to the last one handled."""
        return events / (self.delivered - self.start)

    def cpu_figures(self, events: int) -> dict[str, float]:
        """Microseconds of processor time for each of so many events, by process."""
        return {f"cpu_{who}": used / events * 1e6 for who, used in self.cpu.items()}


class Session:
    """The server of one system, freshly started, and the child processes of one measurement.

    Use it in a `with` statement: at its end, everything that it started has ended. If it takes longer than
    `limit` seconds in all, it raises ChildFailed. settings: for the server's environment; only that of
    pyro_events takes any.
    """

    server: Child
    address: str

    def __init__(self, system: str, limit: float, settings: Mapping[str, str] | None = None) -> None:
        self.system = system
        self._settings = settings
        self.deadline = time.monotonic() + limit
        self._folder = tempfile.TemporaryDirectory(prefix="pyro_events-benchmark-")
        self._children: list[Child] = []

    def __enter__(self) -> Session:
        try:
            self._start_server()
        except BaseException:
            self.close()
            raise
        return self

    def _start_server(self) -> None:
        system = SYSTEMS[self.system]
        folder, port = Path(self._folder.name), free_port()
        command = system.command(folder, port)
        line = ""
        if command is None:
            self.server = start_worker("server", Serve(self.system), folder, system.variables)
        else:
            self.server = Child("server", command, folder, {**system.variables, **(self._settings or {})})
        self._children.append(self.server)
        if system.speaks:
            line = self.server.line(self.deadline)
        else:
            wait_for_port(self.server, port, self.deadline)
        self.address = system.address(port, line)

    def worker(self, task: Task) -> Child:
        """A child process, after it has said that it is ready."""
        name, variables = f"{task.role}-{len(self._children)}", SYSTEMS[self.system].variables
        child = start_worker(name, task, Path(self._folder.name), variables)
        self._children.append(child)
        child.answer(self.deadline)
        return child

    def stop(self, child: Child) -> None:
        """End one child before the others."""
        self._children.remove(child)
        child.stop()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the children, the newest first, and remove their folder."""
        while self._children:
            self._children.pop().stop()
        self._folder.cleanup()


def exchange(session: Session, listens: Sequence[Listen], publishes: Sequence[Publish]) -> list[Outcome]:
    """Start the subscribers and then the publishers, and go through the phases.

    A phase ends when every publisher is done and every subscriber has all its events. Returns the figures of
    each phase; the first is usually the warm-up.
    """
    return run_phases(
        session,
        [session.worker(listen) for listen in listens],
        [session.worker(publish) for publish in publishes],
        len(publishes[0].phases),
    )


def run_phases(
    session: Session, listeners: Sequence[Child], publishers: Sequence[Child], phases: int
) -> list[Outcome]:
    """The phases of children that are ready."""
    outcomes = []
    handled = [0.0] * len(listeners)
    for _ in range(phases):
        before = session.server.cpu()
        for publisher in publishers:
            publisher.send("go")
        sent = [publisher.answer(session.deadline) for publisher in publishers]
        taken = [listener.answer(session.deadline) for listener in listeners]
        outcome = Outcome(
            min(answer["start"] for answer in sent),
            max(answer["end"] for answer in sent),
            max(answer["at"] for answer in taken),
        )
        outcome.cpu = {
            "publisher": sum(answer["cpu"] for answer in sent),
            "service": session.server.cpu() - before,
            "subscriber": sum(answer["cpu"] for answer in taken) - sum(handled),
        }
        handled = [answer["cpu"] for answer in taken]
        outcome.latencies = [time for answer in taken for time in _latencies(answer)]
        outcomes.append(outcome)
    return outcomes


def _latencies(answer: dict[str, Any]) -> list[int]:
    found: list[int] = answer.get("latencies", [])
    return found
