"""The benchmark suite: its arithmetic, its report, and one case from end to end.

No figure is judged here: on a busy machine none means anything.
"""

from __future__ import annotations

import dataclasses
import io
import json
import math
import os
import random
import socket
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from benchmark_results import made_results

ROOT = Path(__file__).resolve().parent.parent


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


@pytest.mark.parametrize(
    ("count", "low", "high", "sure"),
    [
        (1, 0, 0, False),
        (6, 0, 5, False),
        (7, 0, 6, True),
        (9, 0, 8, True),
        (10, 1, 8, True),
        (13, 2, 10, True),
    ],
)
def test_the_interval_of_a_median_leaves_out_as_many_as_it_may(
    count: int, low: int, high: int, sure: bool
) -> None:
    from benchmarks.statistics import median_interval

    interval = median_interval([float(number) for number in reversed(range(count))])
    assert (interval.low, interval.high, interval.sure) == (low, high, sure)


def test_the_interval_of_a_median_contains_it_as_often_as_promised() -> None:
    from benchmarks.statistics import median_interval

    source = random.Random(7)
    for count in (7, 10, 15):
        hits = 0
        for _ in range(2000):
            interval = median_interval([source.expovariate(1.0) for _ in range(count)])
            hits += interval.low <= math.log(2) <= interval.high
        assert hits >= 1950 - 28  # four deviations of so many tries
    with pytest.raises(ValueError, match="nothing was measured"):
        median_interval([])


def test_best_and_ratios() -> None:
    from benchmarks.statistics import best, ratios

    assert best({"a": 1.0, "b": 2.0}, higher=True) == "b"
    assert best({"a": 1.0, "b": 2.0}, higher=False) == "a"
    assert best({}, higher=True) is None
    assert ratios([6.0, 9.0], [2.0, 3.0, 4.0]) == [3.0, 3.0]


def test_goals_are_judged_by_the_compiled_form_if_it_was_measured() -> None:
    from benchmarks.cases import CASES
    from benchmarks.reporting.chart import svg
    from benchmarks.reporting.history import entry
    from benchmarks.reporting.report import whole_report

    results = made_results()
    assert results.ours(1, CASES["acked"]) == "pyro_events"
    for rate in (300.0, 330.0):
        results.add(1, "acked", "pyro_events-compiled", {"rate": rate, "cpu_service": 1.0})
    results.add(1, "acked", "raw-limit", {"rate": 630.0})
    assert results.ours(1, CASES["acked"]) == "pyro_events-compiled"
    assert results.ours(1, CASES["latency"]) == "pyro_events"
    text = whole_report(results)
    title = CASES["acked"].metric("rate").title
    assert (
        f"goal: {title} (compiled) >= 2.2 x the best of redis, redis-unix, nats, mqtt: 3.00 x redis" in text
    )
    assert f"{title} (compiled): 0.50 x the" in text
    assert "pyro_events, Publisher" in text and "pyro_events (compiled), Publisher" in text
    assert entry(results, "abc")["cases"]["acked, one core"]["rate"]["median"] == 315.0
    assert "pyro_events (compiled), Publisher" in svg(results)


def test_the_children_of_the_compiled_form_import_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import run
    from benchmarks.children.processes import environment
    from benchmarks.reporting.results import Results
    from benchmarks.systems import SYSTEMS, ours

    compiled = SYSTEMS["pyro_events-compiled"]
    monkeypatch.setattr(ours, "COMPILED", tmp_path)
    assert compiled.missing() == "scripts/benchmark --compiled builds it"
    (tmp_path / "pyro_events").mkdir()
    monkeypatch.setattr(type(compiled), "package", tmp_path)
    assert compiled.missing() is None
    paths: list[str] = []

    def measure(system: str, quick: bool) -> dict[str, float]:
        paths.append(environment()["PYTHONPATH"].split(os.pathsep)[0])
        return {"rate": 1.0}

    monkeypatch.setitem(run.CASES, "acked", dataclasses.replace(run.CASES["acked"], measure=measure))
    settings = {"rounds": 1, "cores": [1], "cases": ["acked"], "quick": True}
    names = ["pyro_events", "pyro_events-compiled"]
    run.run(Results(settings={**settings, "systems": names}), lambda done, steps, text: None)
    assert paths == [str(ROOT), str(tmp_path)]


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

    steps = list(plan(3, [1], ["acked"], ["pyro_events", "redis", "nats"]))
    assert [step.system for step in steps] == [
        *("pyro_events", "redis", "nats"),
        *("redis", "nats", "pyro_events"),
        *("nats", "pyro_events", "redis"),
    ]
    assert not list(plan(1, [1], ["subscribers"], ["redis"]))


def test_a_case_is_measured_on_each_number_of_cores_that_it_depends_on() -> None:
    from benchmarks.run import plan

    steps = list(plan(1, [1, 2], ["acked", "memory"], ["pyro_events", "redis"]))
    assert [(step.case, step.cores, step.system) for step in steps] == [
        *(("acked", 1, "pyro_events"), ("acked", 1, "redis")),
        *(("acked", 2, "pyro_events"), ("acked", 2, "redis")),
        ("memory", 1, "pyro_events"),
    ]
    assert [step.cores for step in plan(1, [2], ["memory"], ["pyro_events"])] == [2]
    assert str(steps[2]) == "round 1, acked, 2 cores: pyro_events"


def test_goals_are_judged_against_the_best_peer() -> None:
    from benchmarks.cases import CASES

    results = made_results()
    acked, limit = results.verdicts(1, CASES["acked"])
    assert acked.against == "redis"
    assert acked.value == pytest.approx(160 / 105)
    assert acked.lowest == pytest.approx(1.5)
    assert (acked.goal, acked.reached) == (
        "events/s until handled >= 2.2 x the best of redis, redis-unix, nats, mqtt",
        False,
    )
    assert (limit.goal, limit.value) == (
        "events/s until handled >= 0.5 x the best of raw-limit, raw-limit-unix",
        None,
    )
    median, p99, *unmeasured = results.verdicts(1, CASES["latency"])
    assert (median.reached, p99.reached) == (False, True)
    assert [verdict.reached for verdict in unmeasured] == [None, None]
    assert [verdict.reached for verdict in results.verdicts(1, CASES["subscribers"])] == [True, None, True]


def test_goals_are_judged_on_one_core_only() -> None:
    from benchmarks.cases import CASES
    from benchmarks.reporting.report import whole_report

    results = made_results(cores=2)
    acked, _ = results.verdicts(2, CASES["acked"])
    assert acked.value == pytest.approx(160 / 105)
    assert acked.reached is None
    assert "1.52 x redis (rounds 1.50 to 1.55) judged on one core" in whole_report(results)
    # Memory does not depend on it.
    results.add(2, "memory", "pyro_events", {"start": 30.0})
    results.add(2, "start-up", "pyro_events", {"package_ratio": 3.0})
    assert results.verdicts(2, CASES["start-up"])[0].reached is False


def test_report_says_what_was_left_out_and_what_failed() -> None:
    from benchmarks.reporting.report import whole_report

    text = whole_report(made_results())
    assert "left out: mosquitto, paho-mqtt (the program mosquitto is not installed)" in text
    assert "1.52 x redis (rounds 1.50 to 1.55) MISSED" in text
    assert "0.90 x nats (rounds 0.90 to 0.90) reached" in text
    assert "acked, one core: " in text
    assert "not measured" in text
    assert "FAILED: round 1, latency, one core: redis: ended by itself" in text


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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process choose its processors")
def test_a_measurement_is_held_on_as_many_cores_as_asked_for() -> None:
    from benchmarks import cores

    before = os.sched_getaffinity(0)
    for number in range(1, len(before) + 1):
        with cores.held(number):
            asked = subprocess.run(
                [sys.executable, "-c", "import os; print(len(os.sched_getaffinity(0)))"],
                capture_output=True,
                text=True,
            )
            assert int(asked.stdout) == number
    with pytest.raises(KeyError), cores.held(1):
        raise KeyError
    assert os.sched_getaffinity(0) == before
    with cores.held(cores.ANYWHERE):
        assert os.sched_getaffinity(0) == before


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process choose its processors")
def test_more_cores_than_there_are_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import cores
    from benchmarks.run import prepare

    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    assert cores.possible([1, 2]) == ([1], {2: "the suite may use 1 only"})
    results = prepare(1, [1, 2], ["acked"], ["pyro_events"], quick=True)
    assert results.settings["cores"] == [1]
    assert results.missing["2 cores"] == "the suite may use 1 only"
    monkeypatch.setattr(sys, "platform", "win32")
    assert cores.possible([1])[0] == [cores.ANYWHERE]


@pytest.mark.parametrize("piece", [1, 39, 41, 1000, 1 << 20])
def test_raw_frames_are_read_whatever_pieces_they_come_in(piece: int) -> None:
    from benchmarks.systems.raw_frames import Stream, events_frame, publish_frame

    large = 200 if piece < 40 else 300_000
    sent = publish_frame("A", 5, 2) + events_frame(large, 1) + publish_frame("B", 7, 3, 99)
    theirs, mine = socket.socketpair()

    def send() -> None:
        for start in range(0, len(sent), piece):
            theirs.sendall(sent[start : start + piece])
        theirs.close()

    writing = threading.Thread(target=send)
    with mine:
        stream = Stream(mine)
        writing.start()
        assert [stream.wait()[1:] for _ in range(3)] == [(2, 6, 0), (1, large, 0), (3, 8, 99)]
        with pytest.raises(EOFError):
            stream.wait()
    writing.join()


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


def test_messages_have_the_size_that_their_kind_says() -> None:
    from benchmarks.children.tasks import is_large
    from benchmarks.systems.base import message_of, packed, unpacked
    from benchmarks.systems.redis_pubsub import pipeline_of

    for size in (1, 10, 255, 70_000):
        message = message_of(f"bytes:{size}")
        assert len(message) == size
        assert unpacked(f"bytes:{size}")(packed(f"bytes:{size}")(message)) == message
    assert len(message_of("bytes")) == 1024 * 1024
    kinds = ("quote", "bytes:1000", "bytes", "array", "bytes:67108864")
    assert [is_large(kind) for kind in kinds] == [False, False, True, True, True]
    assert [pipeline_of(kind) for kind in kinds] == [100, 100, 8, 8, 1]


def test_a_system_that_is_missing_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.run import available
    from benchmarks.systems import SYSTEMS

    monkeypatch.setattr(type(SYSTEMS["redis"]), "packages", ("no-such-package",))
    present, missing = available(["pyro_events", "redis"])
    assert present == ["pyro_events"]
    assert missing == {"redis": "the Python package no-such-package is not installed"}


def run_suite(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The suite as its script starts it."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)


@pytest.mark.skipif(sys.platform != "linux", reason="processor time is read from /proc")
def test_a_quick_case_from_end_to_end(tmp_path: Path) -> None:
    systems = "pyro_events,raw-limit,raw-limit-unix"
    arguments = ["--quick", "--rounds", "1", "--cases", "acked,latency", "--systems", systems]
    files = ["--json", str(tmp_path / "found.json"), "--chart", str(tmp_path / "found.svg")]
    ended = run_suite(*arguments, *files)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "acked, one core: one publisher waiting for each acknowledgement" in ended.stdout
    document = json.loads((tmp_path / "found.json").read_text("utf-8"))
    figures = document["cases"]["acked"]["cores"]["1"]["systems"]["pyro_events"]
    assert figures["rate"]["rounds"] == 1
    assert figures["rate"]["median"] > 0
    assert {"cpu_publisher", "cpu_service", "cpu_subscriber"} <= set(figures)
    assert document["cases"]["latency"]["cores"]["1"]["systems"]["raw-limit-unix"]["median"]["median"] > 0
    assert document["machine"]["cores"] >= 1
    assert document["failures"] == []
    ET.parse(tmp_path / "found.svg")
    history = ["--history-file", str(tmp_path / "history.json")]
    assert run_suite("--from", files[1], "--append", *history).returncode == 0
    shown = run_suite("--history", *history).stdout
    assert "acked, one core" in shown and "raw-limit" in shown


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
