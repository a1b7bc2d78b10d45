"""examples/instrument: an instrument that measures only while somebody looks."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
from processes import Process, Spawner
from waiting import eventually

SWITCHED = re.compile(r"^scope: (SCOPE\.\d (?:on|off))$", re.MULTILINE)
VALUE = re.compile(r"^screen: SCOPE\.\d = [+-]\d\.\d{3}$", re.MULTILINE)


@pytest.fixture
def instrument(root: Path) -> Path:
    return root / "examples" / "instrument"


def switched(scope: Process) -> list[str]:
    """What it has switched, in order."""
    return SWITCHED.findall(scope.stdout)


def test_a_channel_is_on_while_somebody_looks(instrument: Path, es, spawn: Spawner) -> None:
    uri = "--es-uri", es.uri
    scope = spawn(str(instrument / "instrument.py"), *uri, "--pause", "0.01", ready="nobody looks")
    one = spawn(str(instrument / "screen.py"), "SCOPE.1", *uri, ready="looking")
    one.wait_for(VALUE.pattern)
    both = spawn(str(instrument / "screen.py"), "SCOPE.1", "SCOPE.2", *uri, "--count", "6", ready="looking")
    assert both.wait() == 0
    assert len(VALUE.findall(both.stdout)) == 6
    scope.wait_for("SCOPE.2 off")
    assert switched(scope) == ["SCOPE.1 on", "SCOPE.2 on", "SCOPE.2 off"]
    other = spawn(str(instrument / "instrument.py"), *uri, "--pause", "0.001", ready="SCOPE.1 on")
    other.send(signal.SIGINT)
    assert other.wait() == 0
    one.send(signal.SIGKILL)
    scope.wait_for("SCOPE.1 off")
    assert switched(scope)[3:] == ["SCOPE.1 off"]
    scope.send(signal.SIGINT)
    assert scope.wait() == 0
    assert not scope.stderr + other.stderr + one.stderr + both.stderr


def test_after_a_restart_of_the_service_it_goes_on(
    instrument: Path, es, start_service, spawn: Spawner
) -> None:
    uri = "--es-uri", es.uri
    scope = spawn(str(instrument / "instrument.py"), *uri, "--pause", "0.01", ready="nobody looks")
    screen = spawn(str(instrument / "screen.py"), *uri, ready="looking")
    screen.wait_for(VALUE.pattern)
    es.process.send(signal.SIGKILL)
    es.process.wait()
    before = len(VALUE.findall(screen.stdout))
    start_service("--port", str(es.port))
    eventually(lambda: len(VALUE.findall(screen.stdout)) > before + 10)
    assert switched(scope)[-1] == "SCOPE.1 on"
    screen.send(signal.SIGKILL)
    eventually(lambda: switched(scope)[-1] == "SCOPE.1 off")


def test_without_a_service_it_says_so(instrument: Path, spawn: Spawner, free_port) -> None:
    for program in ("instrument.py", "screen.py"):
        process = spawn(str(instrument / program), "--es-uri", f"127.0.0.1:{free_port()}")
        assert process.wait() == 1
        assert process.stderr.count("\n") == 1
