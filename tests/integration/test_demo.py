"""scripts/demo: everything in one terminal, on a machine with a clone and a Python."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from processes import Process, Spawner
from waiting import eventually

QUOTE = r"^STOCKQUOTE\.\w+ = \d+\.?\d*$"
# What is not in a fresh clone. Among it is what scripts/test --compiled has put beside the sources.
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", "*.egg-info", "*.so", "build", "__pycache__", ".*_cache", ".hypothesis"
)


def running(mark: str) -> list[str]:
    """The command lines of the processes that have `mark` in theirs."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):  # it has just ended
                continue
            if mark in command:
                found.append(command)
    return found


@pytest.fixture
def demo(root: Path, tmp_path: Path, spawn: Spawner) -> Process:
    """The demo, with a copy of its programs, so that its processes can be told from others."""
    copy = tmp_path / "the demo"
    shutil.copytree(root / "examples", copy, ignore=NOT_COPIED)
    program = spawn(str(copy / "stockquote" / "demo.py"))
    program.wait_for(QUOTE)
    assert len(running(str(copy))) == 3  # itself, the market, the ticker; the service runs by module name
    yield program
    assert not running(str(copy))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_of_it(demo: Process, number: signal.Signals) -> None:
    service = demo.wait_for(r"PYRO:Pyro\.EventService@127\.0\.0\.1:(\d+)").group(1)
    assert demo.stdout.count("[service]") >= 1
    demo.send_to_group(number)
    assert demo.wait(20) == 0
    assert demo.stdout.endswith("The demo has ended.\n")
    assert "Traceback" not in demo.stdout + demo.stderr
    eventually(lambda: not listening(int(service)), what="the end of the service")


def listening(port: int) -> bool:
    """Whether a process of this machine listens on the TCP port (IPv4)."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in lines)


def test_it_says_when_a_part_of_it_ends_early(root: Path, tmp_path: Path, spawn: Spawner) -> None:
    copy = tmp_path / "the demo"
    shutil.copytree(root / "examples", copy, ignore=NOT_COPIED)
    (copy / "stockquote" / "market.py").write_text("raise SystemExit('no market today')")
    program = spawn(str(copy / "stockquote" / "demo.py"))
    assert program.wait(30) == 1
    assert "no market today" in program.stdout
    assert not running(str(copy))


@pytest.mark.timeout(400)
def test_a_fresh_clone_runs_it(root: Path, tmp_path: Path, spawn: Spawner) -> None:
    clone = tmp_path / "a fresh clone"
    shutil.copytree(root, clone, ignore=NOT_COPIED)
    home = tmp_path / "home"
    outside = {"HOME": str(home), "PYTHONPATH": None, "PYTHON": sys._base_executable}

    def run(*arguments: str) -> Process:
        return spawn.command(str(clone / "scripts" / "demo"), *arguments, env=outside, cwd="/")

    first = run("--seconds", "2")
    assert first.wait(300) == 0
    first.wait_for(QUOTE)
    assert "Traceback" not in first.stdout + first.stderr
    assert not running(str(clone))

    again = run()  # now everything is there
    again.wait_for(QUOTE, 30)
    assert "Setting up" not in again.stderr
    again.send_to_group(signal.SIGINT)
    assert again.wait(20) == 0
    assert not running(str(clone))
    assert not (home / ".cache").exists()  # pip keeps its cache in the clone as well

    start = spawn.command(str(clone / "scripts" / "es"), "--help", env=outside, cwd="/")
    assert start.wait() == 0
    assert "--embed-ns" in start.stdout


@pytest.mark.parametrize("step", ["venv", "pip"])
def test_ctrl_c_while_it_sets_up_gives_one_line(
    root: Path, tmp_path: Path, spawn: Spawner, step: str
) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(root, clone, ignore=NOT_COPIED)
    base = Path(sys._base_executable)
    started = tmp_path / "started"
    # An interpreter that tells when the step begins, and then takes its time as a slow disk would.
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *"-m {step} "*) touch "{started}"; exec "{base}" -c "import time; time.sleep(60)";;\n'
        f'  *"-m venv "*) mkdir -p "{clone}/.venv/bin"; ln -s "$0" "{clone}/.venv/bin/python"; exit 0;;\n'
        f'esac\nexec "{base}" "$@"\n'
    )
    python.chmod(0o755)
    demo = spawn.command(str(clone / "scripts" / "demo"), env={"PYTHON": str(python), "PYTHONPATH": None})
    eventually(started.exists, 20, f"the step {step}")
    demo.send_to_group(signal.SIGINT)
    assert demo.wait(20) == 130
    assert "Traceback" not in demo.stdout + demo.stderr
    assert demo.stderr.splitlines()[1:] == ["The set-up was interrupted; start again to go on with it."]
    assert not running(str(clone))


@pytest.mark.parametrize("script", ["demo", "test", "check"])
def test_without_a_python_there_is_one_line(root: Path, tmp_path: Path, spawn: Spawner, script: str) -> None:
    shutil.copytree(root / "scripts", tmp_path / "clone" / "scripts")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "dirname", "cat", "cksum", "grep"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    bare = {"PATH": str(programs), "PYTHON": None}
    process = spawn.command(str(tmp_path / "clone" / "scripts" / script), env=bare)
    assert process.wait() == 1
    assert len(process.stderr.splitlines()) == 1
    assert "Python 3.10" in process.stderr

    other = spawn.command(
        str(tmp_path / "clone" / "scripts" / script), env={**bare, "PYTHON": "/no/such/python"}
    )
    assert other.wait() == 1
    assert len(other.stderr.splitlines()) == 1
    assert "/no/such/python" in other.stderr
