"""The command line of the suite; see the README here.

Knows: the ways of running it, and files. Must not know: how anything is measured or drawn.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence

from . import clone
from .against import comparison, revision
from .cases import CASES
from .children.processes import package_from
from .growth import command as growth
from .options import parsed
from .reporting import history
from .reporting.chart import svg
from .reporting.report import QUICK, ProgressBar, left_out, whole_report
from .reporting.results import Results, load
from .run import INTERRUPTED, allow_many_files, interrupted_while, prepare, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite. Returns the exit status: 1 if something could not be measured, 2 for a wrong file or
    revision."""
    options = parsed(arguments)
    ways = {"against": _against, "growth": growth.main, "history": _history, "measure": _measure}
    allow_many_files()
    try:
        status: int = ways[options.mode](options)
    except (OSError, ValueError, clone.RevisionError) as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 2
    return status


def _measure(options: argparse.Namespace) -> int:
    interrupted = False
    if options.source:
        results = load(options.source)
    else:
        if options.append:
            history.load(options.history_file)  # so that a wrong file is told of before an hour is spent
        results = prepare(options.rounds, options.cores, options.cases, options.systems, options.quick)
        for line in left_out(results):
            print(line, file=sys.stderr)
        interrupted = interrupted_while(functools.partial(run, results, ProgressBar()))
    print(whole_report(results))
    if options.json:
        options.json.write_text(results.to_json(), "utf-8")
    if options.chart:
        options.chart.write_text(svg(results), "utf-8")
    if interrupted:
        return INTERRUPTED
    if options.append:
        history.append(options.history_file, history.entry(results, results.settings.get("commit", "")))
    return 1 if results.failures or not _has_ours(results) else 0


def _against(options: argparse.Namespace) -> int:
    with revision.other(options.against) as (name, folder):
        sides = tuple(functools.partial(package_from, place) for place in (revision.here(), folder))
        found = comparison.Comparison((f"here ({clone.commit() or 'no git'})", name))
        pairs = list(comparison.plan(options.rounds, options.cores, options.cases))
        work = functools.partial(
            comparison.compare, found, pairs, (sides[0], sides[1]), options.quick, ProgressBar()
        )
        interrupted = interrupted_while(work)
    if options.quick:
        print(QUICK)
    print(comparison.report(found))
    if interrupted:
        return INTERRUPTED
    return 1 if found.failures else 0


def _history(options: argparse.Namespace) -> int:
    print(history.beside_each_other(history.load(options.history_file)[-options.history :]))
    return 0


def _has_ours(results: Results) -> bool:
    found = results.cases()
    return bool(found) and all(
        results.ours(cores, CASES[name]) in results.measured(cores, name)
        for name in found
        for cores in results.cores_of(name)
    )


if __name__ == "__main__":
    sys.exit(main())
