"""Growth: points off the trend, curves, their chart, and one axis from end to end."""

from __future__ import annotations

import argparse
import json
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest


def test_a_straight_line_has_no_cliff() -> None:
    from benchmarks.growth.curves import cliffs

    assert cliffs([]) == []
    assert cliffs([(1, 5.0)]) == []
    assert cliffs([(1, 5.0), (10, 500.0)]) == []
    assert cliffs([(1, 1000.0), (10, 100.0), (100, 10.0), (1000, 1.0)]) == []
    assert cliffs([(1, 1000.0), (10, 900.0), (100, 600.0), (1000, 400.0)]) == []


def test_a_point_off_the_trend_is_found_inside_and_at_the_end() -> None:
    from benchmarks.growth.curves import cliffs

    ((point, factor),) = cliffs([(1, 100.0), (10, 100.0), (100, 100.0), (1000, 30.0)])
    assert (point, factor) == (1000, pytest.approx(0.3))
    found = dict(cliffs([(1, 100.0), (10, 20.0), (100, 100.0), (1000, 100.0)]))
    assert found[10] == pytest.approx(0.2)


def made_growth() -> Any:
    from benchmarks.growth.curves import Growth

    machine = {"processor": "P<1>", "cores": 2, "memory_gib": 4.0, "system": "L", "python": "C"}
    growth = Growth(machine, {"rounds": 2, "cores": 1}, {"zeromq": "not installed"}, ["redis ended"])
    for point, ours, redis, nats in ((1, 100.0, 60.0, 50.0), (10, 90.0, 40.0, 50.0), (100, 10.0, 30.0, 50.0)):
        for factor in (1.0, 1.2):
            growth.add("subjects", "pyro_events", point, ours * factor)
            growth.add("subjects", "redis-unix", point, redis * factor)
            growth.add("subjects", "nats", point, nats * factor)
    return growth


def test_curves_have_the_median_of_the_rounds() -> None:
    growth = made_growth()
    assert [(point, s.median) for point, s in growth.curve("subjects", "redis-unix")][0] == (
        1,
        pytest.approx(66.0),
    )
    assert growth.systems("subjects") == ["pyro_events", "redis-unix", "nats"]
    assert growth.best_peer("subjects") == "nats"
    assert growth.best_peer("size") is None


def test_growth_survives_its_file_and_is_reported(tmp_path: Path) -> None:
    from benchmarks.growth.command import report
    from benchmarks.growth.curves import from_json, load

    growth = made_growth()
    file = tmp_path / "growth.json"
    file.write_text(growth.to_json(), "utf-8")
    text = report(load(file))
    assert text == report(growth)
    assert "subjects, one core: " in text
    assert "off the trend: pyro_events, Publisher at 100: 0.12 x its neighbours' trend" in text
    assert "FAILED: redis ended" in text and "left out: zeromq (not installed)" in text
    for wrong in ("[]", '{"version": 0}', json.dumps({"version": 1})):
        with pytest.raises(ValueError, match="measure again"):
            from_json(wrong)


def test_the_chart_has_a_panel_for_each_axis_and_a_line_for_each_system() -> None:
    from benchmarks.growth.chart import svg

    growth = made_growth()
    growth.add("size", "pyro_events", 10, 5.0)  # one point alone
    space = "{http://www.w3.org/2000/svg}"
    root = ET.fromstring(svg(growth))
    texts = [element.text for element in root.iter(f"{space}text")]
    assert {
        "events/s by subjects",
        "events/s by bytes of a message",
        "redis-py (Unix)",
        "pyro_events",
    } <= set(texts)
    lines = list(root.iter(f"{space}polyline"))
    assert len(lines) == 4
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for line in lines:
        for place in line.attrib["points"].split():
            x, y = map(float, place.split(","))
            assert 0 < x < width and 0 < y < height


def test_scales_are_logarithmic_with_round_ticks() -> None:
    from benchmarks.growth.chart import Scale, scale_for, short, spread_out

    scale = Scale(1, 10_000, 0, 100)
    assert [scale.at(number) for number in (1, 100, 10_000)] == [0.0, 50.0, 100.0]
    assert scale.ticks() == [1, 10, 100, 1000, 10_000]
    assert Scale(3, 30, 0, 1).ticks() == [5, 10, 20]
    assert scale_for([4.0], 0, 1, 1.0) == Scale(2.0, 8.0, 0, 1)
    assert [short(n) for n in (7, 1000, 67_108_864, 2e9)] == ["7", "1 k", "64 Mi", "2 G"]
    assert Scale(7, 45, 0, 1).ticks() == [7, 10, 20, 30]
    assert spread_out([10.0, 5.0, 11.0], 14) == [19.0, 5.0, 33.0]
    assert spread_out([10.0, 5.0, 30.0, 90.0], 14, end=32) == pytest.approx([4.0, -10.0, 18.0, 32.0])


def test_an_axis_goes_no_further_than_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.growth import axes

    monkeypatch.setattr(axes, "open_files", lambda: 20_000)
    assert axes.AXES["subscribers"].points_of(False) == [1, 10, 100, 1000, 9900]
    assert axes.AXES["subscribers"].points_of(True) == [1, 10, 100]
    assert axes.AXES["subjects"].points_of(False)[-1] == 100_000


def quick_options(**more: object) -> argparse.Namespace:
    from benchmarks.options import parsed

    options = parsed(["--growth", "publishers", "--quick", "--systems", "pyro_events"])
    vars(options).update(more)
    return options


def test_what_takes_too_long_is_left_out_and_what_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    from benchmarks.children.processes import ChildFailed
    from benchmarks.growth import command
    from benchmarks.growth.axes import AXES

    def measure(system: str, point: int, quick: bool) -> float:
        if point == 10:
            later = time.monotonic() + 400
            monkeypatch.setattr(time, "monotonic", lambda: later)
            raise ChildFailed("it ended")
        return 5.0

    monkeypatch.setitem(AXES, "publishers", dataclasses.replace(AXES["publishers"], measure=measure))
    growth = command.prepare(quick_options(rounds=1))
    seen: list[str] = []
    command.measure(growth, ["publishers"], lambda done, steps, text: seen.append(text))
    assert growth.values == {"publishers": {"pyro_events": {1: [5.0]}}}
    assert growth.failures == [
        "round 1, 10 publishers: pyro_events: ChildFailed: it ended",
        "round 1, 100 publishers: pyro_events: left out, because publishers took longer than 300 s",
    ]
    assert growth.settings["files"] is None or growth.settings["files"] > 0
    assert seen[0] == "round 1, 1 publishers: pyro_events" and seen[-1] == ""


def test_each_point_is_kept_before_the_next_one_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    from benchmarks.growth import command
    from benchmarks.growth.axes import AXES
    from benchmarks.growth.curves import load

    file = tmp_path / "growth.json"

    def measure(system: str, point: int, quick: bool) -> float:
        if point == 100:
            raise RuntimeError("something that nobody has expected")
        return 5.0

    monkeypatch.setitem(AXES, "publishers", dataclasses.replace(AXES["publishers"], measure=measure))
    with pytest.raises(RuntimeError):
        command.main(quick_options(json=file))
    assert load(file).values == {"publishers": {"pyro_events": {1: [5.0], 10: [5.0]}}}


def test_where_an_axis_ends_because_of_the_machine_the_report_says_so() -> None:
    from benchmarks.growth.command import report

    growth = made_growth()
    growth.settings["files"] = 20_000
    assert "ulimit" not in report(growth)
    growth.add("subscribers", "pyro_events-aio", 9_900, 5.0)
    assert "not beyond 9,900: a process may open 20,000 files here (ulimit -Hn)" in report(growth)


def test_all_of_it_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    from benchmarks.growth import command
    from benchmarks.growth.axes import AXES

    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def measure(system: str, point: int, quick: bool) -> float:
        now[0] += 280.0
        return 5.0

    for axis in ("publishers", "size", "subjects"):
        monkeypatch.setitem(AXES, axis, dataclasses.replace(AXES[axis], measure=measure, points=(1,)))
    growth = command.prepare(quick_options(rounds=2))
    command.measure(growth, ["publishers", "size", "subjects"], lambda done, steps, text: None)
    assert len(growth.failures) == 3
    assert growth.failures[0].endswith("left out, because everything took longer than 660 s")


@pytest.mark.skipif(sys.platform != "linux", reason="processor time is read from Linux")
def test_an_axis_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.__main__ import main

    arguments = ["--growth", "subjects", "--quick", "--systems", "pyro_events"]
    files = ["--json", str(tmp_path / "g.json"), "--chart", str(tmp_path / "g.svg")]
    assert main([*arguments, *files]) == 0
    assert "subjects, one core: " in capsys.readouterr().out
    values = json.loads((tmp_path / "g.json").read_text("utf-8"))["values"]["subjects"]["pyro_events"]
    assert list(values) == ["1", "10", "100"]
    ET.parse(tmp_path / "g.svg")
    assert main(["--growth", "--from", files[1]]) == 0
