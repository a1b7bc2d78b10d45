"""Results: the figures of all rounds, and what follows from them.

Knows: cases, metrics and goals. Must not know: terminals, charts, how anything is measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..cases import CASES, Case, Goal
from ..statistics import Summary, best, ratios, summarize

# The version of the JSON file's layout; a change that a reader would notice increases it.
VERSION = 1


@dataclass(frozen=True)
class Verdict:
    """A goal and its result.

    value: the ratio to the best other system, or our figure itself; None if it could not be measured. lowest,
    highest: of the rounds. against: the best other system, None for a figure itself.
    """

    goal: str
    value: float | None
    lowest: float | None
    highest: float | None
    against: str | None
    reached: bool | None


@dataclass
class Results:
    """All values of a run.

    values: case, system, figure -> one number for each round. failures: what did not work, in words. missing:
    system -> what the machine lacks for it.
    """

    machine: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    values: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)

    def add(self, case: str, system: str, figures: Mapping[str, float]) -> None:
        """The figures of one round."""
        kept = self.values.setdefault(case, {}).setdefault(system, {})
        for key, value in figures.items():
            kept.setdefault(key, []).append(value)

    def fail(self, case: str, system: str, number: int, reason: str) -> None:
        """A round without figures."""
        self.failures.append(f"{case}, {system}, round {number}: {reason}")

    def summary(self, case: str, system: str, key: str) -> Summary | None:
        """A figure over all rounds; None when there is none."""
        values = self.values.get(case, {}).get(system, {}).get(key)
        return summarize(values) if values else None

    def measured(self, case: str) -> list[str]:
        """The systems that gave figures in a case, in its own order."""
        found = self.values.get(case, {})
        return [system for system in CASES[case].systems if system in found]

    def verdicts(self, case: Case) -> list[Verdict]:
        """The results for the goals of a case."""
        return [self._verdict(case, goal) for goal in case.goals]

    def _verdict(self, case: Case, goal: Goal) -> Verdict:
        metric = case.metric(goal.metric)
        relation = ">=" if metric.higher else "<="
        text = f"{metric.title} {relation} {goal.factor:g}"
        ours = self.summary(case.name, case.ours, goal.metric)
        values: list[float] = []
        peer = None
        if goal.peers:
            text += f" x the best of {', '.join(goal.peers)}"
            found = {name: self.summary(case.name, name, goal.metric) for name in goal.peers}
            peer = best({name: one.median for name, one in found.items() if one}, metric.higher)
            theirs = found[peer] if peer else None
            if ours is None or theirs is None or not theirs.median:
                return Verdict(text, None, None, None, peer, None)
            value = ours.median / theirs.median
            kept = self.values[case.name]
            values = ratios(kept[case.ours][goal.metric], kept[str(peer)][goal.metric])
        elif ours is None:
            return Verdict(text, None, None, None, None, None)
        else:
            value, values = ours.median, [ours.lowest, ours.highest]
        reached = value >= goal.factor if relation == ">=" else value <= goal.factor
        return Verdict(text, value, min(values), max(values), peer, reached)

    def to_json(self) -> str:
        """Everything, with the medians and the results for the goals."""
        cases = {}
        for name in self.values:
            case = CASES[name]
            cases[name] = {
                "about": case.about,
                "metrics": {metric.key: [metric.title, metric.unit] for metric in case.metrics},
                "systems": {
                    system: {
                        key: {"values": values, **asdict(summarize(values))}
                        for key, values in self.values[name][system].items()
                    }
                    for system in self.measured(name)
                },
                "goals": [asdict(verdict) for verdict in self.verdicts(case)],
            }
        document = {
            "version": VERSION,
            "machine": self.machine,
            "settings": self.settings,
            "versions": self.versions,
            "missing": self.missing,
            "failures": self.failures,
            "cases": cases,
        }
        return json.dumps(document, indent=1) + "\n"


def from_json(text: str) -> Results:
    """The results from `to_json`. Raises ValueError for another version, or for something else."""
    document = json.loads(text)
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise ValueError(f"not the results of this suite, version {VERSION}; measure again")
    results = Results(
        *(document[name] for name in ("machine", "settings", "versions", "missing", "failures"))
    )
    for case, kept in document["cases"].items():
        for system, figures in kept["systems"].items():
            results.values.setdefault(case, {})[system] = {
                key: figure["values"] for key, figure in figures.items()
            }
    return results


def load(path: Path) -> Results:
    """The results in a file. Raises OSError or ValueError."""
    return from_json(path.read_text("utf-8"))
