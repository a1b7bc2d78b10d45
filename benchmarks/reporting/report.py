"""The report in the terminal: a table for each case, and the progress bar.

Knows: text. Must not know: how anything is measured.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TextIO

from ..cases import CASES, Case, Metric
from ..cores import in_words as cores_in_words
from ..machine import in_words
from ..statistics import Summary
from ..systems import LIMITS, OURS_COMPILED, SYSTEMS
from .results import Ratio, Results, Verdict

_BAR = 24
CPU = ("publisher", "service", "subscriber")
QUICK = "QUICK: far too little work to compare anything; it only shows that the suite runs."


def whole_report(results: Results) -> str:
    """Everything that the terminal shows at the end."""
    parts = [in_words(results.machine)] if results.machine else []
    if results.settings.get("quick"):
        parts.append(QUICK)
    if sockets := sockets_in_words(results):
        parts.append(sockets)
    parts += left_out(results)
    for name in results.cases():
        parts += [case_report(results, cores, CASES[name]) for cores in results.cores_of(name)]
    parts.append(cpu_report(results))
    parts += [f"FAILED: {failure}" for failure in results.failures]
    return "\n\n".join(part for part in parts if part) + "\n"


def sockets_in_words(results: Results) -> str:
    """Who uses Unix sockets, in a line; "" if that was not noted."""
    unix = results.settings.get("unix")
    if unix is None:
        return ""
    ours = "all that is marked (Unix)"
    if unix:
        ours = f"pyro_events where (TCP) is not said, which is its default, and {ours}"
    return f"over Unix sockets: {ours}; over TCP: all else, a stock Proxy too"


def left_out(results: Results) -> list[str]:
    """A line for each system, or number of cores, that this machine does not have."""
    return [
        f"left out: {SYSTEMS[name].title if name in SYSTEMS else name} ({reason})"
        for name, reason in results.missing.items()
    ]


def _where(cores: int, case: Case) -> str:
    """The name of a case, and on how many cores, if that matters to it."""
    return case.name if len(case.cores) < 2 else f"{case.name}, {cores_in_words(cores)}"


def case_report(results: Results, cores: int, case: Case) -> str:
    """The table of one case on so many cores, and its goals."""
    systems = results.measured(cores, case.name)
    lines = [f"{_where(cores, case)}: {case.about}"]
    if len(case.metrics) <= 2:
        header = ["", *[f"{metric.title} ({metric.unit})" for metric in case.metrics]]
        rows = [
            [SYSTEMS[name].title, *[_cell(results, cores, case, name, metric) for metric in case.metrics]]
            for name in systems
        ]
    else:
        header = ["", *[SYSTEMS[name].name for name in systems]]
        rows = [
            [
                f"{metric.title} ({metric.unit})",
                *[_cell(results, cores, case, name, metric) for name in systems],
            ]
            for metric in case.metrics
        ]
    lines += table([header, *rows])
    for verdict in results.verdicts(cores, case):
        lines.append(f"  {goal_line(verdict)}")
        if verdict.tcp:
            lines.append(f"        over TCP on both sides: {_in_words(verdict.tcp)}")
    lines += _limit_lines(results, cores, case)
    return "\n".join(lines)


def _cell(results: Results, cores: int, case: Case, system: str, metric: Metric) -> str:
    summary = results.summary(cores, case.name, system, metric.key)
    return figure(summary, metric.digits) if summary else "-"


def figure(summary: Summary, digits: int = 0) -> str:
    """A median with its spread, half of highest minus lowest; without the spread after one round."""
    text = f"{summary.median:,.{digits}f}"
    return text if summary.rounds == 1 else f"{text} ±{summary.spread * 100:.0f} %"


def goal_line(verdict: Verdict) -> str:
    """A goal and its result, in one line."""
    if verdict.value is None or verdict.lowest is None or verdict.highest is None:
        return f"goal: {verdict.goal}: not measured"
    state = {True: "reached", False: "MISSED", None: "judged on one core"}[verdict.reached]
    found = Ratio(verdict.value, verdict.lowest, verdict.highest, verdict.against)
    return f"goal: {verdict.goal}: {_in_words(found)} {state}"


def _in_words(ratio: Ratio) -> str:
    against = f" x {ratio.against}" if ratio.against else ""
    return f"{ratio.value:.2f}{against} (rounds {ratio.lowest:.2f} to {ratio.highest:.2f})"


def _limit_lines(results: Results, cores: int, case: Case) -> list[str]:
    """Our figures as a part of the raw limit's, if that was measured."""
    lines = []
    judged = results.ours(cores, case)
    of = " (compiled)" if judged == OURS_COMPILED else ""
    for metric in case.metrics:
        ours = results.summary(cores, case.name, judged, metric.key)
        for name in LIMITS:
            limit = results.summary(cores, case.name, name, metric.key)
            if ours and limit and limit.median:
                ratio = ours.median / limit.median
                lines.append(f"  {metric.title}{of}: {ratio:.2f} x the {SYSTEMS[name].title}")
    return lines


def cpu_report(results: Results) -> str:
    """Processor time for each event, of every case that has it."""
    rows = [["", "", *CPU]]
    for case in results.cases():
        for cores in results.cores_of(case):
            for system in results.measured(cores, case):
                found = [results.summary(cores, case, system, f"cpu_{who}") for who in CPU]
                if all(found):
                    shown = [f"{summary.median:,.1f}" for summary in found if summary]
                    rows.append([_where(cores, CASES[case]), SYSTEMS[system].title, *shown])
    if len(rows) == 1:
        return ""
    title = "processor time for each event handled, in microseconds"
    return "\n".join([title, *table(rows, words=2)])


def table(rows: Sequence[Sequence[str]], words: int = 1) -> list[str]:
    """Rows in columns; the first `words` columns are flush left, the others flush right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            text.ljust(width) if column < words else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(("  " + "   ".join(cells)).rstrip())
    return lines


class ProgressBar:
    """Shows how far the run is: a bar that is drawn over itself, or lines if there is no terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._began = time.monotonic()
        self._width = 0

    def __call__(self, done: int, steps: int, text: str) -> None:
        """done: of so many steps. text: what comes next, "" at the end."""
        if not self._stream.isatty():
            if text:
                self._stream.write(f"{done + 1}/{steps} {text}\n")
                self._stream.flush()
            return
        line = self._line(done, steps, text)
        self._stream.write("\r" + line.ljust(self._width) + ("" if text else "\n"))
        self._stream.flush()
        self._width = len(line)

    def _line(self, done: int, steps: int, text: str) -> str:
        passed = time.monotonic() - self._began
        full = _BAR * done // steps if steps else _BAR
        left = f", about {_minutes(passed / done * (steps - done))} left" if done and text else ""
        bar = "#" * full + "." * (_BAR - full)
        return f"[{bar}] {done}/{steps} {_minutes(passed)}{left}  {text}".rstrip()


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
