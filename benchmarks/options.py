"""The command line of the suite: what may be said, and what goes together.

Knows: names and defaults. Must not know: what is done with them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from .against.comparison import DEFAULT_CASES
from .cases import CASES
from .cores import CORES, JUDGED
from .growth.axes import AXES
from .systems import COMPILED_FORMS, SYSTEMS

HISTORY: Final = Path(__file__).resolve().parent / "history.json"
# How many rounds: of all cases, of two revisions, of growth. Ten give an interval that one outlier does not
# widen (statistics.py), and each side is as often the first.
ROUNDS: Final = {"measure": 5, "against": 10, "growth": 2}
_SHOWN = 5
_SYSTEMS: Final = (
    "{}; pyro_events uses its Unix socket, as it does by default, except in those with -tcp; of the others "
    "those with -unix use one"
)


def _names(known: Sequence[str], what: str) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        wanted = [name.strip() for name in text.split(",") if name.strip()]
        unknown = [name for name in wanted if name not in known]
        if unknown or not wanted:
            raise argparse.ArgumentTypeError(f"{what} are {', '.join(known)}; not {', '.join(unknown)!r}")
        return [name for name in known if name in wanted]

    return parse


def _numbers(text: str) -> list[int]:
    return [int(name) for name in _names([str(number) for number in CORES], "numbers of cores")(text)]


def _to_be_written(text: str) -> Path:
    """A file that can be made: a run takes an hour, and must not be lost for a wrong name."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"must be a file in a folder that exists, not {text!r}")
    return path


def _at_least_one(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/benchmark",
        description="Compare pyro_events with Redis, NATS, ZeroMQ and MQTT, doing the same work.",
    )
    add = parser.add_argument
    rounds = "number of rounds (default: {measure}; with --against {against}, with --growth {growth})"
    add("--rounds", type=_at_least_one, metavar="N", help=rounds.format_map(ROUNDS))
    cores = "on one core, on two, or 1,2 for both (default: both; with --against and --growth 1)"
    add("--cores", type=_numbers, metavar="N", help=cores)
    add("--cases", type=_names(list(CASES), "cases"), metavar="CASE,…", help=", ".join(CASES))
    add(
        "--systems",
        type=_names(list(SYSTEMS), "systems"),
        metavar="SYSTEM,…",
        help=_SYSTEMS.format(", ".join(SYSTEMS)),
    )
    add("--compiled", action="store_true", help="build the compiled form too, and judge the goals by it")
    add("--quick", action="store_true", help="tiny sizes, which only show that it works")
    add("--json", type=_to_be_written, metavar="FILE", help="file for all values")
    add("--chart", type=_to_be_written, metavar="FILE.svg", help="file for the chart")
    add("--from", type=Path, dest="source", metavar="FILE", help="report this JSON file again")
    _add_other_ways(parser)
    return parser


def _add_other_ways(parser: argparse.ArgumentParser) -> None:
    other = parser.add_argument_group("instead of a comparison with the others")
    other.add_argument(
        "--against",
        metavar="REV",
        help="compare the package here with that of another revision (or in another folder, or with its own "
        "compiled form: compiled), in turns; "
        f"cases: {', '.join(DEFAULT_CASES)}",
    )
    other.add_argument(
        "--growth",
        type=_names(list(AXES), "axes"),
        nargs="?",
        const=list(AXES),
        metavar="AXIS,…",
        help=f"how figures change with what grows: {', '.join(AXES)} (default: all)",
    )
    kept = parser.add_argument_group("history")
    kept.add_argument("--append", action="store_true", help="add the medians to the history")
    kept.add_argument(
        "--history",
        type=_at_least_one,
        nargs="?",
        const=_SHOWN,
        metavar="N",
        help=f"show the last N entries beside each other, and measure nothing (default: {_SHOWN})",
    )
    kept.add_argument(
        "--history-file",
        type=_to_be_written,
        default=HISTORY,
        metavar="FILE",
        help="its file (default: %(default)s)",
    )


# What each way of running the suite does not take.
_FOREIGN = {
    "against": ("growth", "history", "source", "append", "systems", "chart", "json", "compiled"),
    "growth": ("history", "append", "cases", "compiled"),
    "history": (
        "source",
        "append",
        "cases",
        "systems",
        "rounds",
        "cores",
        "quick",
        "json",
        "chart",
        "compiled",
    ),
}


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options, complete and free of contradictions; `mode` is "measure", "against", "growth" or
    "history". Exits with a message otherwise."""
    parser = _parser()
    options = parser.parse_args(arguments)
    options.mode = "measure"
    for mode, foreign in _FOREIGN.items():
        if getattr(options, mode) is not None:
            options.mode = mode
            for name in foreign:
                if getattr(options, name) not in (None, False):
                    shown = "from" if name == "source" else name
                    parser.error(f"--{mode} and --{shown} exclude each other")
            break
    if options.append and options.quick:
        parser.error("--append and --quick exclude each other: the figures of --quick mean nothing")
    options.rounds = options.rounds or ROUNDS.get(options.mode, 1)
    options.cores = options.cores or (list(CORES) if options.mode == "measure" else [JUDGED])
    if options.mode == "measure":
        known = [name for name in SYSTEMS if options.compiled or name not in COMPILED_FORMS]
        options.systems = options.systems or known
        for name in options.systems:
            if name not in known:
                parser.error(f"--systems {name} needs --compiled, which builds it")
    options.cases = options.cases or list(DEFAULT_CASES if options.mode == "against" else CASES)
    return options
