"""The benchmark suite: its arithmetic, its report, and one case from end to end.

No figure is judged here: on a busy machine none means anything.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True, scope="module")
def suite() -> Iterator[None]:
    """The suite is not a part of the package, so it is imported from the clone."""
    sys.path.insert(0, str(ROOT))
    yield
    sys.path.remove(str(ROOT))


def test_summary() -> None:
    from benchmarks.statistics import summarize

    summary = summarize([3.0, 1.0, 2.0, 10.0])
    assert (summary.median, summary.lowest, summary.highest, summary.rounds) == (2.5, 1.0, 10.0, 4)
    assert summary.spread == pytest.approx(1.8)
    with pytest.raises(ValueError, match="nothing was measured"):
        summarize([])


@pytest.mark.parametrize(
    ("part", "expected"), [(0.0, 1), (0.01, 1), (0.5, 50), (0.99, 99), (0.999, 100), (1.0, 100)]
)
def test_percentile(part: float, expected: int) -> None:
    from benchmarks.statistics import percentile

    assert percentile(range(100, 0, -1), part) == expected


def test_best_and_ratios() -> None:
    from benchmarks.statistics import best, ratios

    assert best({"a": 1.0, "b": 2.0}, higher=True) == "b"
    assert best({"a": 1.0, "b": 2.0}, higher=False) == "a"
    assert best({}, higher=True) is None
    assert ratios([6.0, 9.0], [2.0, 3.0, 4.0]) == [3.0, 3.0]


def test_a_task_survives_its_line() -> None:
    from benchmarks.children.tasks import Listen, Listener, Phase, Publish, from_line, to_line

    listen = Listen("redis", "127.0.0.1:1", [Listener(["A"], ["B."], {"overflow": "latest"})], [1, 2])
    publish = Publish("nats", "127.0.0.1:1", ["A"], [Phase(3, "streamed"), Phase(4, fresh=True)])
    assert from_line(to_line(listen)) == listen
    assert from_line(to_line(publish)) == publish


def test_subjects_recur_or_are_fresh() -> None:
    from benchmarks.children.tasks import Phase, Publish, subjects_of

    task = Publish("redis", "", ["A", "B"], [])
    assert list(subjects_of(task, Phase(3), 0, 0)) == ["A", "B", "A"]
    fresh = [
        list(subjects_of(task, Phase(2, fresh=True), number, who)) for number in (0, 1) for who in (0, 1)
    ]
    assert len({subject for subjects in fresh for subject in subjects}) == 8


def test_tally_reports_each_stage_once() -> None:
    from benchmarks.children.counter import Counter

    reached: list[int] = []
    counter = Counter([2, 3], lambda stage, values: reached.append(stage), json.loads)
    for _ in range(4):
        counter.take(b"[1]")
    assert reached == [0]
    counter.take(b"[1]")
    counter.take(b"[1]")
    assert reached == [0, 1]
    bulk = Counter([2, 3], lambda stage, values: reached.append(stage), json.loads)
    bulk.add(4)
    bulk.add(1)
    assert reached == [0, 1, 0, 1]


def test_tally_measures_latency() -> None:
    from benchmarks.children.counter import Counter

    seen: list[list[int]] = []
    counter = Counter([1], lambda stage, values: seen.append(values["latencies"]), json.loads, latency=True)
    counter.take(json.dumps(["SUN", time.perf_counter_ns()]))
    assert len(seen) == 1
    assert 0 < seen[0][0] < 1_000_000_000


def test_every_round_begins_with_another_system() -> None:
    from benchmarks.run import plan

    steps = list(plan(3, ["acked"], ["pyro_events", "redis", "nats"]))
    assert [step.system for step in steps] == [
        *("pyro_events", "redis", "nats"),
        *("redis", "nats", "pyro_events"),
        *("nats", "pyro_events", "redis"),
    ]
    assert not list(plan(1, ["subscribers"], ["redis"]))


def made_results() -> Any:
    from benchmarks.reporting.results import Results

    machine = {"processor": "P<1>", "cores": 2, "memory_gib": 4.0, "system": "L", "python": "C"}
    results = Results(machine, {"rounds": 2}, {}, {"mqtt": "the program mosquitto is not installed"})
    for rates in ((150.0, 100.0, 80.0), (170.0, 110.0, 70.0)):
        for system, rate in zip(("pyro_events", "redis", "nats"), rates, strict=True):
            results.add("acked", system, {"rate": rate, "cpu_service": 1.0})
    for median, theirs in ((200.0, 100.0), (210.0, 110.0)):
        results.add("latency", "pyro_events", {"median": median, "p99": 90.0})
        results.add("latency", "nats", {"median": theirs, "p99": 100.0})
    results.add("subscribers", "pyro_events", {"kib_each_1k": 4.0, "threads": 3.0, "more_threads": 0.0})
    results.fail("latency", "redis", 1, "ended by itself")
    return results


def test_goals_are_judged_against_the_best_peer() -> None:
    from benchmarks.cases import CASES

    results = made_results()
    (acked,) = results.verdicts(CASES["acked"])
    assert acked.against == "redis"
    assert acked.value == pytest.approx(160 / 105)
    assert acked.lowest == pytest.approx(1.5)
    assert acked.reached is True
    median, p99, *unmeasured = results.verdicts(CASES["latency"])
    assert (median.reached, p99.reached) == (False, True)
    assert [verdict.reached for verdict in unmeasured] == [None, None]
    assert [verdict.reached for verdict in results.verdicts(CASES["subscribers"])] == [True, None, True]


def test_report_says_what_was_left_out_and_what_failed() -> None:
    from benchmarks.reporting.report import whole_report

    text = whole_report(made_results())
    assert "left out: mosquitto, paho-mqtt (the program mosquitto is not installed)" in text
    assert "1.52 x redis (rounds 1.50 to 1.55) reached" in text
    assert "MISSED" in text
    assert "not measured" in text
    assert "FAILED: latency, redis, round 1: ended by itself" in text


def test_results_survive_their_file(tmp_path: Path) -> None:
    from benchmarks.reporting.report import whole_report
    from benchmarks.reporting.results import from_json, load

    results = made_results()
    file = tmp_path / "results.json"
    file.write_text(results.to_json(), "utf-8")
    assert whole_report(load(file)) == whole_report(results)
    with pytest.raises(ValueError, match="measure again"):
        from_json('{"version": 0}')


def test_chart_is_well_formed() -> None:
    from benchmarks.reporting.chart import panels, svg

    results = made_results()
    assert [panel.title for panel in panels(results)][0] == "acked: events/s until handled"
    root = ET.fromstring(svg(results))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "redis-server, redis-py" in texts


def test_progress_without_a_terminal_is_lines() -> None:
    from benchmarks.reporting.report import ProgressBar

    stream = io.StringIO()
    progress = ProgressBar(stream)
    progress(0, 2, "round 1, acked: redis")
    progress(1, 2, "round 1, acked: nats")
    progress(2, 2, "")
    assert stream.getvalue() == "1/2 round 1, acked: redis\n2/2 round 1, acked: nats\n"


def test_raw_frames_carry_as_much_as_ours() -> None:
    from benchmarks.systems.raw_frames import events_frame, publish_frame
    from pyro_events.codec.message import encode
    from pyro_events.constants import EVENTSERVER_NAME
    from pyro_events.wire.event_batch import write_events
    from pyro_events.wire.requests import packed_publish

    subject, payload = "STOCKQUOTE.SUN", encode(("SUN", 22.44))
    call = sum(map(len, packed_publish([(subject, payload)] * 500))) + len(EVENTSERVER_NAME) + 2 + 40
    assert len(publish_frame(subject, len(payload), 500)) == pytest.approx(call, rel=0.02)
    rows = [(subject, time.time(), 1000 + number, 0, payload) for number in range(500)]
    delivery = len(write_events("obj_" + 32 * "0", 1, rows))
    assert len(events_frame(len(subject) + len(payload), 500)) == pytest.approx(delivery, rel=0.02)


def test_a_system_that_is_missing_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.run import available
    from benchmarks.systems import SYSTEMS

    monkeypatch.setattr(type(SYSTEMS["redis"]), "packages", ("no-such-package",))
    present, missing = available(["pyro_events", "redis"])
    assert present == ["pyro_events"]
    assert missing == {"redis": "the Python package no-such-package is not installed"}


@pytest.mark.skipif(sys.platform != "linux", reason="processor time is read from /proc")
def test_a_quick_case_from_end_to_end(tmp_path: Path) -> None:
    arguments = ["--quick", "--rounds", "1", "--cases", "acked,latency", "--systems", "pyro_events,raw-limit"]
    files = ["--json", str(tmp_path / "found.json"), "--chart", str(tmp_path / "found.svg")]
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments, *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "acked: one publisher waiting for each acknowledgement" in ended.stdout
    document = json.loads((tmp_path / "found.json").read_text("utf-8"))
    figures = document["cases"]["acked"]["systems"]["pyro_events"]
    assert figures["rate"]["rounds"] == 1
    assert figures["rate"]["median"] > 0
    assert {"cpu_publisher", "cpu_service", "cpu_subscriber"} <= set(figures)
    assert document["cases"]["latency"]["systems"]["pyro_events"]["median"]["median"] > 0
    assert document["machine"]["cores"] >= 1
    assert document["failures"] == []
    ET.parse(tmp_path / "found.svg")


def test_the_delay_of_a_background_publisher_is_measured_in_each_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from benchmarks import background_delay

    assert list(background_delay.STATES) == ["running", "frozen", "killed", "full"]
    for state in ("running", "frozen"):  # the others take another way to the same
        monkeypatch.delitem(background_delay.STATES, state)
    lines = list(background_delay.measure(("SUN", 22.44), (0.0,), 0.2))
    for _ in background_delay._kept:
        background_delay._kept.pop().close()
    assert [line.split()[0] for line in lines] == ["encoding,", "killed", "full"]
    assert all(line.endswith(" dropped") for line in lines[1:])


def test_the_time_for_expired_events_is_measured_for_each_kind(capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.parts import expired_backlog

    assert expired_backlog.main(["--events", "6000", "--rounds", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:32].strip() for line in lines[1:]] == list(expired_backlog.KINDS)
    assert all(float(figure) > 0 for line in lines[1:] for figure in line[32:].split())


def test_a_row_of_delays_says_what_is_beyond_the_encoding() -> None:
    from benchmarks.background_delay import row, times

    taken = times(lambda: 1_000.0, 1_000.0, 0.05)
    assert 1 <= len(taken) <= 51 and max(taken) < 0
    shown = row("frozen", 30.0, [0.0, 0.001, 0.003], "2 dropped").split()
    assert shown == ["frozen", "30/s", "3", "1,000.0", "3,000.0", "3,000.0", "2", "dropped"]
