"""Two revisions in turns: pairs, verdicts, and whose package is measured."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("low", "high", "higher", "expected"),
    [
        (1.01, 1.05, True, "better"),
        (1.01, 1.05, False, "worse, perhaps held"),
        (0.99, 1.20, False, "not clear: more rounds"),
        (0.90, 0.96, True, "WORSE"),
        (1.04, 1.10, False, "WORSE"),
        (0.90, 0.99, False, "better"),
        (0.98, 1.01, True, "held"),
        (0.975, 0.99, True, "held"),
        (0.99, 1.02, False, "held"),
        (0.95, 0.99, True, "worse, perhaps held"),
        (0.90, 1.10, True, "not clear: more rounds"),
    ],
)
def test_a_verdict_says_no_more_than_the_interval(
    low: float, high: float, higher: bool, expected: str
) -> None:
    from benchmarks.against.comparison import verdict
    from benchmarks.statistics import Interval

    assert verdict(Interval(low, high, True), higher) == expected
    assert verdict(Interval(low, high, False), higher) == "too few rounds to judge"


def test_the_sides_follow_each_other_and_take_turns_in_being_first() -> None:
    from benchmarks.against.comparison import plan

    pairs = list(plan(2, [1], ["acked", "latency"]))
    assert [(pair.round, pair.case, pair.swapped) for pair in pairs] == [
        *((1, "acked", False), (1, "latency", False)),
        *((2, "acked", True), (2, "latency", True)),
    ]
    assert [pair.cores for pair in plan(1, [1, 2], ["acked"])] == [1, 2]


class MadeCase:
    """A case that takes its figures from a list, and notes on which side it runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, rates: dict[str, list[float | None]]) -> None:
        from benchmarks.cases import CASES

        self.side = ""
        self.order: list[str] = []
        self._rates = {side: iter(values) for side, values in rates.items()}
        monkeypatch.setitem(CASES, "acked", dataclasses.replace(CASES["acked"], measure=self.measure))

    @contextlib.contextmanager
    def here(self) -> Iterator[None]:
        self.side = "here"
        yield

    @contextlib.contextmanager
    def there(self) -> Iterator[None]:
        self.side = "there"
        yield

    def measure(self, system: str, quick: bool) -> dict[str, float]:
        from benchmarks.children.processes import ChildFailed

        self.order.append(self.side)
        rate = next(self._rates[self.side])
        if rate is None:
            raise ChildFailed("it ended")
        return {"rate": rate, "cpu_publisher": 1.0, "cpu_service": 2.0, "cpu_subscriber": rate / 100}


def compared(case: MadeCase, rounds: int) -> Any:
    from benchmarks.against.comparison import Comparison, compare, plan

    comparison = Comparison(("here (abc)", "def"))
    pairs = list(plan(rounds, [0], ["acked"]))
    compare(comparison, pairs, (case.here, case.there), True, lambda done, steps, text: None)
    return comparison


def test_ratios_are_of_the_two_sides_of_one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.against.comparison import report

    # The machine is twice as slow in every other round, which the ratio of a round does not show.
    slow: list[float | None] = [100.0, 50.0, 100.0, 50.0, 100.0, 50.0, 100.0]
    rates: list[float | None] = [rate * 1.1 for rate in slow if rate]
    case = MadeCase(monkeypatch, {"here": rates, "there": slow})
    comparison = compared(case, 7)
    assert case.order[:4] == ["here", "there", "there", "here"]
    text = report(comparison)
    (rate,) = [line for line in text.splitlines() if "events/s until handled" in line]
    assert "1.100   1.100 to 1.100" in rate and rate.endswith("better")
    (used,) = [line for line in text.splitlines() if "processor time" in line]
    assert used.split()[-1] == "held"


def test_a_round_in_which_one_side_fails_makes_no_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.against.comparison import report

    case = MadeCase(monkeypatch, {"here": [1.0, None, 3.0], "there": [1.0, 2.0, 3.0]})
    comparison = compared(case, 3)
    ((pairs),) = comparison.pairs.values()
    assert [(here["rate"], there["rate"]) for here, there in pairs] == [(1.0, 1.0), (3.0, 3.0)]
    text = report(comparison)
    assert "FAILED: round 2, acked, not held on a core, here (abc): ChildFailed: it ended" in text
    assert "too few rounds to judge" in text
    case = MadeCase(monkeypatch, {"here": [None], "there": [0.0]})
    assert "nothing was measured" in report(compared(case, 1))
    case = MadeCase(monkeypatch, {"here": [1.0], "there": [0.0]})
    (rate,) = [line for line in report(compared(case, 1)).splitlines() if "until handled" in line]
    assert rate.split()[-3:] == ["-", "-", "-"]


def made_package(folder: Path, text: str) -> Path:
    (folder / "pyro_events").mkdir(parents=True)
    (folder / "pyro_events" / "__init__.py").write_text(text)
    return folder


def test_children_import_the_package_of_their_side(tmp_path: Path) -> None:
    from benchmarks.against.revision import other
    from benchmarks.children.processes import environment, package_from

    def imported() -> str:
        command = [sys.executable, "-c", "import benchmarks.clone, pyro_events; print(pyro_events.__file__)"]
        return subprocess.run(
            command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
        ).stdout

    built = made_package(tmp_path / "built", "")
    before = imported()
    with other(str(built)) as (name, folder), package_from(folder):
        assert name == "built"
        assert Path(imported().strip()).is_relative_to(built)
    assert imported() == before


def test_the_compiled_form_is_another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.against import revision
    from benchmarks.clone import RevisionError

    monkeypatch.setattr(revision, "COMPILED", tmp_path / "package")
    with pytest.raises(RevisionError, match="scripts/benchmark --against compiled builds it"):
        revision.other("compiled").__enter__()
    built = made_package(tmp_path / "package", "")
    with revision.other("compiled") as found:
        assert found == ("compiled", built)


def test_a_package_that_cannot_be_imported_is_refused(tmp_path: Path) -> None:
    from benchmarks.against.revision import other
    from benchmarks.clone import RevisionError

    broken = made_package(tmp_path, "raise ImportError('it lacks a part')")
    with pytest.raises(RevisionError, match="cannot be imported(.|\\n)*it lacks a part"), other(str(broken)):
        pass
    elsewhere = made_package(tmp_path / "b", "__file__ = '/nowhere/pyro_events.py'")
    with pytest.raises(RevisionError, match="was imported from /nowhere"), other(str(elsewhere)):
        pass


def test_a_revision_is_unpacked_as_git_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import clone

    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=n", "-c", "user.email=e", *arguments], cwd=tmp_path, check=True
        )

    made_package(tmp_path, "first = True\n")
    monkeypatch.setattr(clone, "ROOT", tmp_path)
    assert clone.commit() == ""
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "first")
    first = clone.commit()
    module = tmp_path / "pyro_events" / "__init__.py"
    module.write_text("second = True\n")
    assert clone.commit() == f"{first}+"
    git("commit", "-qam", "second")
    target = tmp_path / "target"
    target.mkdir()
    assert clone.unpack("HEAD~1", target) == first
    assert (target / "pyro_events" / "__init__.py").read_text() == "first = True\n"
    for wrong in ("no-such", "--output=x"):
        with pytest.raises(clone.RevisionError, match="nor a folder that holds pyro_events"):
            clone.unpack(wrong, target)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(clone.RevisionError, match="git cannot be run"):
        clone.unpack("HEAD", target)


@pytest.mark.skipif(sys.platform != "linux", reason="processor time is read from Linux")
def test_the_package_of_another_folder_is_measured_from_end_to_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.__main__ import main
    from benchmarks.clone import ROOT

    (tmp_path / "pyro_events").symlink_to(ROOT / "pyro_events")
    arguments = ["--against", str(tmp_path), "--quick", "--rounds", "1", "--cases", "acked", "--cores", "1"]
    status = main(arguments)
    said = capsys.readouterr()
    assert status == 2 and "was imported from" in said.err  # a link leads back here
    (tmp_path / "pyro_events").unlink()
    subprocess.run(["cp", "-r", str(ROOT / "pyro_events"), str(tmp_path)], check=True)
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "too few rounds to judge" in shown and shown.startswith("QUICK: far too little work to compare")
