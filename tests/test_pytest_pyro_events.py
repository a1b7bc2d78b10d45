"""The pytest plugin, as projects meet it: in a pytest of their own."""

from __future__ import annotations

import importlib.util
import textwrap
from pathlib import Path

import pytest
from processes import Process, Spawner

# What a project that does not use the plugin must not pay for.
HEAVY = ("pyro_events", "Pyro5", "asyncio", "hypothesis", "msgpack", "numpy", "re2", "serpent", "uvloop")
REPORT = """
import sys

def pytest_sessionfinish():
    print("LOADED", "pytest_pyro_events" in sys.modules, sorted({*HEAVY} & {*sys.modules}))
"""
USING = """
import os
import subprocess
import sys

import Pyro5
import pytest

from pyro_events import Publisher
from pyro_events.testing import collect

PROGRAM = "from pyro_events import Publisher as P\\nwith P() as p: p.publish('A', 1)"
NAMES = "PYROEVENTS_ES_URI", "PYRO_NS_HOST", "PYRO_NS_PORT"
seen_before = []


def known():
    return [*map(os.environ.get, NAMES), Pyro5.config.NS_HOST, Pyro5.config.NS_PORT]


@pytest.mark.parametrize("number", range(4))
def test_using_it(event_service, number):
    assert os.environ["PYROEVENTS_ES_URI"] == event_service.uri not in seen_before
    seen_before.append(event_service.uri)
    with collect("A") as seen:
        subprocess.run([sys.executable, "-W", "error", "-c", PROGRAM], check=True, timeout=60)
        with Publisher() as publisher:
            assert publisher.publish("A", 2) == 1
        assert [event.msg for event in seen.events] == [1, 2]


@pytest.mark.parametrize("number", range(2))
def test_not_using_it(number):
    assert known() == [None, None, None, "localhost", 9090]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder for a project's tests."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n", "utf-8")
    return tmp_path


Environment = dict[str, str | None]


def run_pytest(spawn: Spawner, project: Path, *options: str, env: Environment | None = None) -> Process:
    """pytest in a project, when it has ended; warnings are errors."""
    arguments = ("-W", "error", "-m", "pytest", "-W", "error", *options)
    process = spawn(*arguments, cwd=str(project), env=env)
    process.wait(90)
    return process


def test_a_project_that_does_not_use_it_does_not_pay_for_it(spawn: Spawner, project: Path) -> None:
    (project / "conftest.py").write_text(f"HEAVY = {HEAVY}\n{REPORT}", "utf-8")
    (project / "test_x.py").write_text("def test_x(): pass\n", "utf-8")
    process = run_pytest(spawn, project)
    heavy = {"asyncio", "hypothesis"}  # other plugins' matter
    found = process.wait_for(r"LOADED (\w+) \[(.*)\]$")
    assert found.group(1) == "True" and {*found.group(2).replace("'", "").split(", ")} <= {"", *heavy}
    assert process.returncode == 0, process


@pytest.mark.parametrize("workers", [0, 2])
def test_a_project_that_uses_it(spawn: Spawner, project: Path, workers: int) -> None:
    if workers and not importlib.util.find_spec("xdist"):
        pytest.skip("pytest-xdist is not installed")
    (project / "test_x.py").write_text(USING, "utf-8")
    process = run_pytest(spawn, project, *(("-n", str(workers)) if workers else ()))
    assert process.returncode == 0 and process.wait_for("6 passed in"), process


def test_it_can_be_switched_off(spawn: Spawner, project: Path) -> None:
    (project / "test_x.py").write_text("def test_x(event_service): pass\n", "utf-8")
    process = run_pytest(spawn, project, "-p", "no:pyro_events")
    assert process.returncode == 1
    process.wait_for("fixture 'event_service' not found")


def test_it_can_be_asked_for_by_name(spawn: Spawner, project: Path) -> None:
    (project / "test_x.py").write_text("def test_x(event_service): assert event_service.uri\n", "utf-8")
    env: Environment = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    assert run_pytest(spawn, project, env=env).returncode == 1
    process = run_pytest(spawn, project, "-p", "pyro_events", env=env)
    assert process.returncode == 0, process


def test_the_fixture_says_what_it_is(spawn: Spawner, project: Path) -> None:
    process = run_pytest(spawn, project, "--fixtures")
    process.wait_for(r"^event_service -- .*pytest_pyro_events\.py:\d+$")
    process.wait_for(
        "An event service with its name server, on free ports of 127.0.0.1, for this test alone."
    )


def test_the_package_works_without_pytest(spawn: Spawner) -> None:
    source = """
        import sys
        sys.modules["pytest"] = None
        from pyro_events import Publisher
        from pyro_events.testing import LocalEventService, collect
        with LocalEventService(), collect() as seen, Publisher() as publisher:
            publisher.publish("A", 1)
            assert len(seen.events) == 1
    """
    process = spawn("-W", "error", "-c", textwrap.dedent(source))
    assert process.wait() == 0, process


def test_the_package_alone_does_not_import_what_is_for_tests(spawn: Spawner) -> None:
    process = spawn("-c", "import pyro_events, sys; print([m for m in sys.modules if 'test' in m])")
    assert process.wait() == 0
    assert "pyro_events" not in process.stdout and "pytest" not in process.stdout
