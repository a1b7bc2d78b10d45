"""Running: rounds, and in each round every case with all systems.

Knows: the order, and what a failure is. Must not know: what is measured, or how it is shown.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from . import cores, machine
from .cases import CASES
from .children.processes import ChildFailed, package_from
from .clone import commit
from .reporting.results import Results
from .systems import SYSTEMS

# A service lets half of its files be subscribers, and growth has 10,000 of them.
_FILES = 32_000

# What a measurement that did not work raises.
FAILED = (ChildFailed, OSError, json.JSONDecodeError, ZeroDivisionError)
# What an interrupted program returns to a shell.
INTERRUPTED = 130
# The next measurement: its number from 0, of how many, and in words.
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Step:
    """One measurement."""

    round: int
    cores: int
    case: str
    system: str

    def __str__(self) -> str:
        return f"round {self.round}, {self.case}, {cores.in_words(self.cores)}: {self.system}"


def plan(rounds: int, numbers: Sequence[int], cases: Sequence[str], systems: Sequence[str]) -> Iterator[Step]:
    """All measurements in order. numbers: of cores.

    The outermost loop is over rounds: if the machine becomes slower meanwhile, all systems are affected. Each
    round begins with another system, so that none always runs first.
    """
    for number in range(1, rounds + 1):
        for case in cases:
            wanted = [system for system in CASES[case].systems if system in systems]
            first = (number - 1) % len(wanted) if wanted else 0
            for held_on in cores_of(case, numbers):
                for system in wanted[first:] + wanted[:first]:
                    yield Step(number, held_on, case, system)


def cores_of(case: str, numbers: Sequence[int]) -> list[int]:
    """On which of these numbers of cores a case is measured; on the first if it does not care."""
    return [number for number in numbers if number in CASES[case].cores] or list(numbers[:1])


def available(systems: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The systems that can run on this machine, and for the others what is missing."""
    reasons = {name: SYSTEMS[name].missing() for name in systems}
    missing = {name: reason for name, reason in reasons.items() if reason}
    return [name for name in systems if name not in missing], missing


def prepare(
    rounds: int, numbers: Sequence[int], cases: Sequence[str], systems: Sequence[str], quick: bool
) -> Results:
    """Empty results that say what will be measured, and on what. numbers: of cores."""
    present, missing = available(systems)
    held_on, impossible = cores.possible(numbers)
    return Results(
        machine=machine.describe(),
        settings={
            "rounds": rounds,
            "cores": held_on,
            "commit": commit(),
            "cases": list(cases),
            "systems": present,
            "quick": quick,
            "unix": _uses_unix_sockets(),
            "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        },
        versions={name: SYSTEMS[name].versions() for name in present},
        missing={**missing, **{cores.in_words(n): reason for n, reason in impossible.items()}},
    )


def _uses_unix_sockets() -> bool:
    """Whether pyro_events uses its Unix socket, as it does by default."""
    return hasattr(socket, "AF_UNIX") and os.environ.get("PYROEVENTS_UNIX_SOCKET", "").lower() != "off"


def run(results: Results, progress: Progress) -> None:
    """Measure everything that `results` names, and add it there; after an interruption it contains what is
    done."""
    settings = results.settings
    allow_many_files()
    steps = list(plan(settings["rounds"], settings["cores"], settings["cases"], settings["systems"]))
    began = time.monotonic()
    for number, step in enumerate(steps):
        progress(number, len(steps), str(step))
        try:
            with _imported(step.system), cores.held(step.cores):
                figures = CASES[step.case].measure(step.system, settings["quick"])
        except FAILED as error:
            results.failures.append(f"{step}: {type(error).__name__}: {error}")
        else:
            results.add(step.cores, step.case, step.system, figures)
        results.settings["seconds"] = round(time.monotonic() - began)
    progress(len(steps), len(steps), "")


def _imported(system: str) -> AbstractContextManager[None]:
    """A context in which the children of a system import the package that it is about."""
    folder = SYSTEMS[system].package
    return contextlib.nullcontext() if folder is None else package_from(folder)


def allow_many_files() -> None:
    """Raise this process's own limit of open files, which its children inherit, as far as possible."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def open_files() -> float:
    """How many files a process may have open."""
    if sys.platform == "win32":
        return math.inf
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if soft == resource.RLIM_INFINITY else soft


def interrupted_while(work: Callable[[], None]) -> bool:
    """Whether Ctrl-C or SIGTERM ended the work. What it has measured before is there, and children are ended
    in any case."""
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        work()
    except KeyboardInterrupt:
        print("\ninterrupted; this is what was measured before", file=sys.stderr)
        return True
    finally:
        signal.signal(signal.SIGTERM, previous)
    return False


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
