"""The command line of the benchmark suite: defaults, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_each_way_of_running_it_has_its_defaults() -> None:
    from benchmarks.cases import CASES
    from benchmarks.growth.axes import AXES
    from benchmarks.options import HISTORY, parsed
    from benchmarks.systems import SYSTEMS

    plain = parsed([])
    assert (plain.mode, plain.cores, plain.rounds) == ("measure", [1, 2], 5)
    assert (plain.cases, plain.systems) == (list(CASES), [name for name in SYSTEMS if "compiled" not in name])
    assert parsed(["--compiled"]).systems == list(SYSTEMS)
    assert plain.history_file == HISTORY
    against = parsed(["--against", "HEAD~1"])
    assert (against.mode, against.cores, against.rounds) == ("against", [1], 10)
    assert against.cases == ["acked", "pipelined", "fan-out", "latency"]
    growth = parsed(["--growth"])
    assert (growth.mode, growth.cores, growth.rounds, growth.growth) == ("growth", [1], 2, list(AXES))
    assert parsed(["--history"]).history == 5


def test_what_is_said_is_taken() -> None:
    from benchmarks.options import parsed

    options = parsed(["--cores", "2", "--rounds", "3", "--cases", "latency,acked", "--systems", "nats"])
    assert (options.cores, options.rounds) == ([2], 3)
    assert (options.cases, options.systems) == (["acked", "latency"], ["nats"])
    assert parsed(["--cores", "2,1"]).cores == [1, 2]
    assert parsed(["--growth", "size,subjects", "--rounds", "2"]).growth == ["subjects", "size"]
    assert parsed(["--history", "2"]).history == 2


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--cores", "3"], "numbers of cores are 1, 2; not '3'"),
        (["--cores", ""], "numbers of cores are 1, 2"),
        (["--rounds", "0"], "must be a whole number of at least 1, not '0'"),
        (["--rounds", "x"], "must be a whole number of at least 1, not 'x'"),
        (["--cases", "aked"], "not 'aked'"),
        (
            ["--json", "/no/such/x.json"],
            "--json: must be a file in a folder that exists, not '/no/such/x.json'",
        ),
        (["--chart", "."], "--chart: must be a file in a folder that exists, not '.'"),
        (
            ["--append", "--history-file", "/no/such/x.json"],
            "--history-file: must be a file in a folder that",
        ),
        (["--growth", "weight"], "axes are subjects, subscribers, size, publishers; not 'weight'"),
        (["--against", "HEAD", "--growth"], "--against and --growth exclude each other"),
        (["--against", "HEAD", "--systems", "nats"], "--against and --systems exclude each other"),
        (["--growth", "--cases", "acked"], "--growth and --cases exclude each other"),
        (["--history", "--from", "results.json"], "--history and --from exclude each other"),
        (["--history", "--rounds", "2"], "--history and --rounds exclude each other"),
        (["--append", "--quick"], "--append and --quick exclude each other"),
        (["--systems", "pyro_events-compiled"], "--systems pyro_events-compiled needs --compiled"),
        (["--systems", "redis,pyro_events-compiled-tcp"], "pyro_events-compiled-tcp needs --compiled"),
        (["--against", "HEAD", "--compiled"], "--against and --compiled exclude each other"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.options import parsed

    with pytest.raises(SystemExit) as ended:
        parsed(arguments)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--from", "{folder}/none.json"], "No such file"),
        (["--from", "{folder}/other.json"], "measure again"),
        (["--growth", "--from", "{folder}/other.json"], "measure again"),
        (["--history", "--history-file", "{folder}/other.json"], "not a history"),
        (["--against", "no-such-revision"], "Needed a single revision"),
    ],
)
def test_a_wrong_file_or_revision_is_named(
    arguments: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.__main__ import main

    (tmp_path / "other.json").write_text('{"version": 0}')
    assert main([argument.format(folder=tmp_path) for argument in arguments]) == 2
    assert complaint in capsys.readouterr().err
