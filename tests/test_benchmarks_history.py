"""The history of the benchmark suite: what is kept of a run, its bound, and how runs are shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmark_results import made_results


def test_an_entry_has_medians_spreads_and_ratios() -> None:
    from benchmarks.reporting.history import entry

    kept = entry(made_results(), "abc1234")
    assert (kept["date"], kept["commit"], kept["rounds"]) == ("2026-01-02", "abc1234", 2)
    assert kept["cases"]["acked, one core"] == {
        "rate": {"median": 160.0, "spread": 0.0625, "ratios": {"redis": 1.524}}
    }
    assert set(kept["cases"]) == {"acked, one core", "latency, one core", "subscribers, one core"}


def test_both_numbers_of_cores_are_kept() -> None:
    from benchmarks.reporting.history import entry

    results = made_results()
    results.add(2, "acked", "pyro_events", {"rate": 90.0})
    assert entry(results, "")["cases"]["acked, 2 cores"]["rate"] == {"median": 90.0, "spread": 0.0}


def test_the_file_has_a_line_for_each_case_and_drops_its_oldest_entries(tmp_path: Path) -> None:
    from benchmarks.reporting import history

    file = tmp_path / "history.json"
    for number in range(history.ENTRIES + 3):
        history.append(file, history.entry(made_results(), str(number)))
    entries = history.load(file)
    assert [kept["commit"] for kept in entries] == [str(n) for n in range(3, history.ENTRIES + 3)]
    assert sum('"acked, one core"' in line for line in file.read_text().splitlines()) == len(entries)
    assert json.loads(file.read_text())["entries"] == entries
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_is_no_history_is_left_alone(tmp_path: Path) -> None:
    from benchmarks.reporting import history

    file = tmp_path / "history.json"
    file.write_text("[]")
    with pytest.raises(ValueError, match=r"history.json is not a history of this suite, version"):
        history.append(file, history.entry(made_results(), ""))
    assert file.read_text() == "[]"
    file.write_text("{")
    with pytest.raises(ValueError, match=r"history.json is not a history of this suite: Expecting"):
        history.append(file, history.entry(made_results(), ""))
    assert history.load(tmp_path / "none.json") == []
    with pytest.raises(OSError):
        history.append(tmp_path / "no-folder" / "history.json", history.entry(made_results(), ""))


def test_a_wrong_history_is_told_of_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks import __main__ as suite

    def measure(*arguments: object) -> None:
        raise AssertionError("it measures")

    monkeypatch.setattr(suite, "prepare", measure)
    file = tmp_path / "history.json"
    file.write_text("[]")
    assert suite.main(["--append", "--history-file", str(file)]) == 2
    assert "is not a history" in capsys.readouterr().err


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.reporting import history

    file = tmp_path / "history.json"
    history.append(file, history.entry(made_results(), "old"))

    def full(source: object, target: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(history.os, "replace", full)
    with pytest.raises(OSError, match="full"):
        history.append(file, history.entry(made_results(), "new"))
    assert [kept["commit"] for kept in history.load(file)] == ["old"]
    assert list(tmp_path.iterdir()) == [file]


def test_entries_are_shown_beside_each_other() -> None:
    from benchmarks.reporting.history import beside_each_other, entry

    first, second = entry(made_results(), "aaa"), entry(made_results(), "bbb")
    del second["cases"]["latency, one core"]
    text = beside_each_other([first, second])
    (acked,) = [line for line in text.splitlines() if "acked" in line]
    assert acked.count("160 ±6 % (1.52 x redis)") == 2
    (median,) = [line for line in text.splitlines() if "latency" in line and "median" in line]
    assert median.split()[-1] == "-"
    assert text.splitlines()[0].split() == ["2026-01-02", "aaa", "2026-01-02", "bbb"]
    assert "NOT the same machine" not in text
    second["machine"] = "another"
    assert "NOT the same machine" in beside_each_other([first, second])
    assert beside_each_other([]) == "the history is empty: --append adds a run to it\n"
