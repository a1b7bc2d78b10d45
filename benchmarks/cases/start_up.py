"""How long a program waits for its imports: pyro_events beside Pyro5, which it is built on.

Knows: what a program imports. Must not know: what the packages do then.

Each import is in a process of its own, and the kinds take turns. The time of the interpreter's own start is
not included.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from typing import Final

from ..children.processes import ChildFailed, environment
from ..cores import JUDGED
from ..systems import OURS
from .base import Case, Figures, Goal, Metric

_IMPORTS: Final = {
    "pyro5": "from Pyro5.api import Proxy",
    "package": "import pyro_events",
    "publisher": "from pyro_events import Publisher",
    "subscriber": "from pyro_events import Subscriber",
    "stream": "from pyro_events import EventStream",
    "asyncio": "from pyro_events.aio import Publisher, EventStream",
}
_PROGRAM: Final = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"


def measure_start_up(system: str, quick: bool) -> Figures:
    times: dict[str, list[float]] = {key: [] for key in _IMPORTS}
    for number in range(3 if quick else 16):
        for key, statement in _IMPORTS.items():
            taken = import_time(statement)
            if number:  # the first fills the system's cache of files
                times[key].append(taken)
    figures = {key: statistics.median(taken) * 1e3 for key, taken in times.items()}
    figures |= {f"{key}_ratio": figures[key] / figures["pyro5"] for key in _IMPORTS if key != "pyro5"}
    return figures


def import_time(statement: str) -> float:
    """Seconds that a new process takes for it. Raises ChildFailed."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            ended = subprocess.run(
                [sys.executable, "-c", _PROGRAM.format(statement)],
                cwd=folder,
                env=environment(),
                capture_output=True,
                text=True,
                timeout=60,
            )
        except subprocess.TimeoutExpired as error:
            raise ChildFailed(f"{statement!r} was not done in time") from error
    if ended.returncode:
        raise ChildFailed(f"{statement!r} failed: {ended.stderr.strip()[-300:]}")
    return float(ended.stdout)


_WORDS: Final = {
    "pyro5": "Pyro5.api",
    "package": "pyro_events",
    "publisher": "its Publisher",
    "subscriber": "its Subscriber",
    "stream": "its EventStream",
    "asyncio": "pyro_events.aio",
}

START_UP = Case(
    "start-up",
    "how long a program takes to import it, beside the import of Pyro5.api",
    (OURS,),
    (
        *(Metric(key, words, "ms", higher=False) for key, words in _WORDS.items()),
        *(
            Metric(f"{key}_ratio", f"{words} over Pyro5.api", "ratio", higher=False, digits=2)
            for key, words in _WORDS.items()
            if key != "pyro5"
        ),
    ),
    measure_start_up,
    (Goal("package_ratio", 2.0), Goal("publisher_ratio", 2.0)),
    cores=(JUDGED,),
)
