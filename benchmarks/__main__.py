"""The command line of the suite; see the README here.

Knows: options and files. Must not know: how anything is measured or drawn.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .cases import CASES
from .reporting.chart import svg
from .reporting.report import ProgressBar, whole_report
from .reporting.results import Results, load
from .run import prepare, run
from .systems import SYSTEMS

_ROUNDS = 5


def _names(known: Sequence[str], what: str) -> Any:
    def parse(text: str) -> list[str]:
        wanted = [name.strip() for name in text.split(",") if name.strip()]
        unknown = [name for name in wanted if name not in known]
        if unknown or not wanted:
            raise argparse.ArgumentTypeError(f"{what} are {', '.join(known)}; not {', '.join(unknown)!r}")
        return [name for name in known if name in wanted]

    return parse


def _rounds(text: str) -> int:
    rounds = int(text)
    if rounds < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return rounds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/benchmark",
        description="Compare pyro_events with Redis, NATS, ZeroMQ and MQTT, doing the same work.",
    )
    parser.add_argument(
        "--rounds", type=_rounds, default=_ROUNDS, help=f"number of rounds (default: {_ROUNDS})"
    )
    parser.add_argument(
        "--cases",
        type=_names(list(CASES), "cases"),
        default=list(CASES),
        metavar="CASE,…",
        help=", ".join(CASES),
    )
    parser.add_argument(
        "--systems",
        type=_names(list(SYSTEMS), "systems"),
        default=list(SYSTEMS),
        metavar="SYSTEM,…",
        help=", ".join(SYSTEMS),
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes, which only show that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for all values")
    parser.add_argument("--chart", type=Path, metavar="FILE.svg", help="file for the chart")
    parser.add_argument(
        "--from",
        type=Path,
        dest="source",
        metavar="FILE",
        help="report this JSON file again, and measure nothing",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite. Returns the exit status: 1 if something could not be measured."""
    options = _parser().parse_args(arguments)
    interrupted = False
    if options.source:
        try:
            results = load(options.source)
        except (OSError, ValueError) as error:
            print(f"benchmark: {options.source}: {error}", file=sys.stderr)
            return 2
    else:
        results = prepare(options.rounds, options.cases, options.systems, options.quick)
        for name, reason in results.missing.items():
            print(f"left out: {SYSTEMS[name].title} ({reason})", file=sys.stderr)
        interrupted = _measured(results)
    print(whole_report(results))
    _write(results, options)
    if interrupted:
        return 130
    return 1 if results.failures or not _has_ours(results) else 0


def _measured(results: Results) -> bool:
    """Run everything; True if it was interrupted. Children are ended in any case."""
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        run(results, ProgressBar())
    except KeyboardInterrupt:
        print("\ninterrupted; this is what was measured before", file=sys.stderr)
        return True
    finally:
        signal.signal(signal.SIGTERM, previous)
    return False


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _has_ours(results: Results) -> bool:
    return all(CASES[name].ours in found for name, found in results.values.items()) and bool(results.values)


def _write(results: Results, options: argparse.Namespace) -> None:
    if options.json:
        options.json.write_text(results.to_json(), "utf-8")
    if options.chart:
        options.chart.write_text(svg(results), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
