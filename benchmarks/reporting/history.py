"""The history: the medians of earlier runs, in a small file that is kept in the clone.

Knows: the file and its bound. Must not know: how anything is measured.

The file has one line for each case of each run, so that git shows what a run has added.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ..cases import CASES, Case, Metric
from ..cores import in_words as cores_in_words
from ..machine import in_words
from .report import table
from .results import Results

VERSION: Final = 1
# The oldest entries beyond these are dropped; one takes about 4 KiB.
ENTRIES: Final = 40

Entry = dict[str, Any]


def entry(results: Results, commit: str) -> Entry:
    """What is kept of a run: of each case on each number of cores, each figure's median and spread, and the
    ratio to the best other system of each goal."""
    cases = {}
    for name in results.cases():
        for cores in results.cores_of(name):
            kept = _of_a_case(results, cores, CASES[name])
            if kept:
                cases[_key(cores, name)] = kept
    return {
        "date": results.settings.get("date", ""),
        "commit": commit,
        "machine": in_words(results.machine) if results.machine else "",
        "rounds": results.settings.get("rounds", 1),
        "cases": cases,
    }


def _key(cores: int, case: str) -> str:
    return f"{case}, {cores_in_words(cores)}"


def _of_a_case(results: Results, cores: int, case: Case) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    judged = results.ours(cores, case)
    for metric in case.metrics:
        summary = results.summary(cores, case.name, judged, metric.key)
        if summary is not None:
            figures: dict[str, Any] = {"median": _short(summary.median), "spread": _short(summary.spread)}
            kept[metric.key] = figures
    for goal, verdict in zip(case.goals, results.verdicts(cores, case), strict=True):
        if goal.peers and verdict.value is not None and goal.metric in kept:
            kept[goal.metric].setdefault("ratios", {})[str(verdict.against)] = _short(verdict.value)
    return kept


def _short(number: float) -> float:
    """Four digits: more of them mean nothing, and would fill the file."""
    return float(f"{number:.4g}")


def load(path: Path) -> list[Entry]:
    """All entries, the oldest first; none if there is no file. Raises OSError or ValueError."""
    if not path.exists():
        return []
    try:
        document = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not a history of this suite: {error}") from None
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise ValueError(f"{path} is not a history of this suite, version {VERSION}")
    entries: list[Entry] = document["entries"]
    return entries


def append(path: Path, new: Entry) -> None:
    """Add an entry, and drop the oldest beyond the bound. Raises OSError or ValueError."""
    text = to_json([*load(path), new][-ENTRIES:])
    # The old file stays whole until the new one is.
    number, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
        Path(made).chmod(0o644)
        os.replace(made, path)
    except BaseException:
        Path(made).unlink()
        raise


def to_json(entries: Sequence[Entry]) -> str:
    """The file: one line for each case."""
    parts = []
    for kept in entries:
        head = "".join(f"  {json.dumps(key)}: {json.dumps(kept[key])},\n" for key in kept if key != "cases")
        cases = ",\n".join(f"   {json.dumps(key)}: {json.dumps(kept['cases'][key])}" for key in kept["cases"])
        parts.append(f' {{\n{head}  "cases": {{\n{cases}\n  }}\n }}')
    return f'{{"version": {VERSION}, "entries": [\n' + ",\n".join(parts) + "\n]}\n"


def beside_each_other(entries: Sequence[Entry]) -> str:
    """The entries as columns, the newest on the right: medians, spreads, and the ratios to the others."""
    if not entries:
        return "the history is empty: --append adds a run to it\n"
    heads = [f"{kept['date']} {kept['commit']}".strip() for kept in entries]
    rows = [["", "", *heads]]
    for name, case in CASES.items():
        for cores in sorted(case.cores):
            key = _key(cores, name)
            for metric in case.metrics:
                cells = [_cell(kept["cases"].get(key, {}).get(metric.key), metric) for kept in entries]
                if any(cell != "-" for cell in cells):
                    rows.append([key, f"{metric.title} ({metric.unit})", *cells])
    machines = sorted({kept["machine"] for kept in entries})
    notes = ["", *machines] if len(machines) == 1 else ["", "NOT the same machine:", *machines]
    return "\n".join([*table(rows, words=2), *notes]) + "\n"


def _cell(kept: Mapping[str, Any] | None, metric: Metric) -> str:
    if kept is None:
        return "-"
    text = f"{kept['median']:,.{metric.digits}f}"
    if kept["spread"]:
        text += f" ±{kept['spread'] * 100:.0f} %"
    ratios = ", ".join(f"{value:.2f} x {name}" for name, value in kept.get("ratios", {}).items())
    return f"{text} ({ratios})" if ratios else text
