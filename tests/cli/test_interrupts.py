"""Ctrl-C while a start script still imports what it needs."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from processes import Process, Spawner

from pyro_events.cli.interrupts import exit_quietly, is_start_script

# What Pyro5 imports, and with it pyro_events: Ctrl-C comes in the middle of that.
INTERRUPTED = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(30)\n"
COMMAND = "import sys\nfrom pyro_events.es import main\nsys.exit(main())\n"


@pytest.fixture
def interrupted(spawn: Spawner, tmp_path: Path, root: Path):
    """Starts Python with arguments that lead to an import of pyro_events, which Ctrl-C interrupts."""
    (tmp_path / "serpent.py").write_text(INTERRUPTED, "utf-8")

    def start(*arguments: str) -> Process:
        return spawn(*arguments, cwd=str(tmp_path), env={"PYTHONPATH": f"{tmp_path}:{root}"})

    return start


@pytest.mark.parametrize("module", ["es", "ns"])
def test_a_module_that_is_run_ends_without_output(interrupted, module: str) -> None:
    process = interrupted("-m", f"pyro_events.{module}", "--port", "0")
    assert process.wait() == 130
    assert (process.stdout, process.stderr) == ("", "")


def test_the_installed_command_ends_without_output(interrupted, tmp_path: Path) -> None:
    (tmp_path / "pyro-es").write_text(COMMAND, "utf-8")
    process = interrupted(str(tmp_path / "pyro-es"), "-N")
    assert process.wait() == 130
    assert (process.stdout, process.stderr) == ("", "")


def test_a_program_that_imports_the_package_gets_its_exception(interrupted) -> None:
    process = interrupted("-c", "try:\n    import pyro_events\nexcept KeyboardInterrupt:\n    print('mine')")
    assert process.wait() == 0
    assert process.stdout == "mine\n"


@pytest.mark.parametrize(
    ("argv", "orig_argv", "expected"),
    [
        (["-m"], ["python", "-X", "dev", "-m", "pyro_events.es", "-N"], True),
        (["-m"], ["python", "-m", "lab.screen", "-m", "pyro_events.es"], False),
        (["-m"], ["python", "-m"], False),
        (["/usr/bin/pyro-es", "-N"], ["/usr/bin/python", "/usr/bin/pyro-es", "-N"], True),
        (["pyro-es.exe"], ["pyro-es.exe"], True),
        (["screen.py", "pyro-es"], ["python", "screen.py", "pyro-es"], False),
        ([""], ["python"], False),
        ([], ["python"], False),
    ],
)
def test_what_a_start_script_is(argv: list[str], orig_argv: list[str], expected: bool) -> None:
    assert is_start_script(argv, orig_argv) is expected


@pytest.mark.parametrize(
    ("argv", "handler"),
    [
        (["screen.py"], signal.default_int_handler),
        (["pyro-es"], signal.SIG_IGN),
        (["pyro-es"], lambda number, frame: None),
    ],
    ids=["another program", "ignored", "handled"],
)
def test_a_signal_of_another_program_or_with_another_handler_is_left_alone(
    argv: list[str], handler: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    before = signal.signal(signal.SIGINT, handler)
    try:
        exit_quietly()
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_a_start_script_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(sys, "argv", ["pyro-es"])
    monkeypatch.setattr("os._exit", ended.append)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        exit_quietly()
        signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended == [130]
