"""Results: the figures of all rounds, and what follows from them.

Knows: cases, metrics and goals. Must not know: terminals, charts, how anything is measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..cases import CASES, Case, Goal
from ..cores import JUDGED
from ..statistics import Summary, best, ratios, summarize
from ..systems import OURS, OURS_COMPILED, OVER_TCP, UNIX

# The version of the JSON file's layout; a change that a reader would notice increases it.
VERSION = 2


@dataclass(frozen=True)
class Ratio:
    """Ours to the best other system's: of the medians, and the lowest and the highest of the rounds.

    against: that system, None if the value is our figure itself.
    """

    value: float
    lowest: float
    highest: float
    against: str | None


@dataclass(frozen=True)
class Verdict:
    """A goal and its result.

    value: the ratio to the best other system, or our figure itself; None if it could not be measured. lowest,
    highest: of the rounds. against: the best other system, None for a figure itself. reached: None if it was
    not measured, or not in the way in which goals are judged. tcp: the same ratio over TCP on both sides, if
    that was measured; it is not judged.
    """

    goal: str
    value: float | None
    lowest: float | None
    highest: float | None
    against: str | None
    reached: bool | None
    tcp: Ratio | None = None


@dataclass
class Results:
    """All values of a run.

    values: number of cores, case, system, figure -> one number for each round. failures: what did not work,
    in words. missing: system, or number of cores in words -> what the machine lacks for it.
    """

    machine: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    values: dict[int, dict[str, dict[str, dict[str, list[float]]]]] = field(default_factory=dict)

    def add(self, cores: int, case: str, system: str, figures: Mapping[str, float]) -> None:
        """The figures of one round."""
        kept = self.values.setdefault(cores, {}).setdefault(case, {}).setdefault(system, {})
        for key, value in figures.items():
            kept.setdefault(key, []).append(value)

    def rounds(self, cores: int, case: str, system: str, key: str) -> list[float]:
        """A figure in each round; empty when there is none."""
        return self.values.get(cores, {}).get(case, {}).get(system, {}).get(key, [])

    def summary(self, cores: int, case: str, system: str, key: str) -> Summary | None:
        """A figure over all rounds; None when there is none."""
        values = self.rounds(cores, case, system, key)
        return summarize(values) if values else None

    def cases(self) -> list[str]:
        """The cases that gave figures, in the order of the suite."""
        return [name for name in CASES if any(name in found for found in self.values.values())]

    def cores_of(self, case: str) -> list[int]:
        """On how many cores a case gave figures."""
        return sorted(cores for cores, found in self.values.items() if case in found)

    def measured(self, cores: int, case: str) -> list[str]:
        """The systems that gave figures in a case, in its own order."""
        found = self.values.get(cores, {}).get(case, {})
        return [system for system in CASES[case].systems if system in found]

    def ours(self, cores: int, case: Case) -> str:
        """The system by which the goals of a case are judged: our compiled form, if it was measured."""
        faster = OURS_COMPILED if case.ours == OURS else case.ours
        return faster if faster in self.measured(cores, case.name) else case.ours

    def over_tcp(self, cores: int, case: Case) -> str | None:
        """The same form over TCP; None if it was not measured."""
        name = OVER_TCP.get(self.ours(cores, case))
        return name if name in self.measured(cores, case.name) else None

    def verdicts(self, cores: int, case: Case) -> list[Verdict]:
        """The results for the goals of a case."""
        return [self._verdict(cores, case, goal) for goal in case.goals]

    def _verdict(self, cores: int, case: Case, goal: Goal) -> Verdict:
        metric = case.metric(goal.metric)
        judged = self.ours(cores, case)
        of = " (compiled)" if judged == OURS_COMPILED else ""
        text = f"{metric.title}{of} {'>=' if metric.higher else '<='} {goal.factor:g}"
        if goal.peers:
            several = "the best of " if len(goal.peers) > 1 else ""
            text += f" x {several}{', '.join(goal.peers)}"
        found = self._ratio(cores, case, goal, judged, goal.peers)
        if found is None:
            return Verdict(text, None, None, None, None, None)
        tcp = self._tcp_ratio(cores, case, goal)
        reached = None
        if cores == JUDGED or cores not in case.cores:
            reached = found.value >= goal.factor if metric.higher else found.value <= goal.factor
        return Verdict(text, found.value, found.lowest, found.highest, found.against, reached, tcp)

    def _ratio(self, cores: int, case: Case, goal: Goal, judged: str, peers: Sequence[str]) -> Ratio | None:
        """The figure of a goal; None if it was not measured for one of the sides."""
        own = self.rounds(cores, case.name, judged, goal.metric)
        if not own:
            return None
        ours = summarize(own)
        if not goal.peers:
            return Ratio(ours.median, ours.lowest, ours.highest, None)
        found = {name: self.summary(cores, case.name, name, goal.metric) for name in peers}
        medians = {name: one.median for name, one in found.items() if one}
        peer = best(medians, case.metric(goal.metric).higher)
        if peer is None or not medians[peer]:
            return None
        values = ratios(own, self.rounds(cores, case.name, peer, goal.metric))
        return Ratio(ours.median / medians[peer], min(values), max(values), peer)

    def _tcp_ratio(self, cores: int, case: Case, goal: Goal) -> Ratio | None:
        ours = self.over_tcp(cores, case)
        peers = [name for name in goal.peers if name not in UNIX]
        return self._ratio(cores, case, goal, ours, peers) if ours and peers else None

    def to_json(self) -> str:
        """Everything, with the medians and the results for the goals."""
        document = {
            "version": VERSION,
            "machine": self.machine,
            "settings": self.settings,
            "versions": self.versions,
            "missing": self.missing,
            "failures": self.failures,
            "cases": {
                name: {
                    "about": CASES[name].about,
                    "metrics": {metric.key: [metric.title, metric.unit] for metric in CASES[name].metrics},
                    "cores": {cores: self._of_a_case(cores, name) for cores in self.cores_of(name)},
                }
                for name in self.cases()
            },
        }
        return json.dumps(document, indent=1) + "\n"

    def _of_a_case(self, cores: int, name: str) -> dict[str, Any]:
        return {
            "systems": {
                system: {
                    key: {"values": values, **asdict(summarize(values))}
                    for key, values in self.values[cores][name][system].items()
                }
                for system in self.measured(cores, name)
            },
            "goals": [asdict(verdict) for verdict in self.verdicts(cores, CASES[name])],
        }


def from_json(text: str) -> Results:
    """The results from `to_json`. Raises ValueError for another version, or for something else."""
    document = json.loads(text)
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise ValueError(f"not the results of this suite, version {VERSION}; measure again")
    results = Results(
        *(document[name] for name in ("machine", "settings", "versions", "missing", "failures"))
    )
    for case, kept in document["cases"].items():
        for cores, found in kept["cores"].items():
            for system, figures in found["systems"].items():
                results.values.setdefault(int(cores), {}).setdefault(case, {})[system] = {
                    key: figure["values"] for key, figure in figures.items()
                }
    return results


def load(path: Path) -> Results:
    """The results in a file. Raises OSError or ValueError."""
    return from_json(path.read_text("utf-8"))
