"""examples/window, on a screen that exists in memory only."""

from __future__ import annotations

from pathlib import Path

import pytest
from processes import Spawner
from virtual_screen import MISSING, XVFB, VirtualScreen
from waiting import eventually

CURVE = "#c2410c"  # and of the line that says that the service is away


@pytest.fixture
def folder(root: Path) -> Path:
    return root / "examples" / "window"


@pytest.fixture
def screen(spawn: Spawner, tmp_path: Path) -> VirtualScreen:
    if XVFB is None:
        pytest.skip(MISSING)
    return VirtualScreen(spawn, tmp_path, 550, 291)


def test_the_window_shows_what_the_laboratory_measures(
    folder: Path, named_es, screen: VirtualScreen, spawn: Spawner
) -> None:
    env = {**named_es.env, **screen.env}
    window = spawn(str(folder / "window.py"), env=env, ready="open")
    assert screen.pixels().count(CURVE) == 0
    laboratory = spawn(str(folder / "laboratory.py"), "--pause", "0.02", env=env, ready="measuring")
    eventually(lambda: screen.pixels().count(CURVE) > 1000, what="curves in the window")
    seen = screen.pixels().rows()
    eventually(lambda: screen.pixels().rows() != seen, what="a change of the picture")
    laboratory.terminate()
    window.terminate()
    assert int(window.wait_for(r"closed after (\d+) events").group(1)) > 10
    assert not window.stderr


def test_the_window_goes_on_with_a_service_that_comes_back(
    folder: Path, es, start_service, screen: VirtualScreen, spawn: Spawner
) -> None:
    uri = "--es-uri", es.uri
    window = spawn(str(folder / "window.py"), *uri, env=screen.env, ready="open")
    es.process.terminate()
    eventually(lambda: screen.pixels().count(CURVE) > 0, what="a line that says that the service is away")
    start_service("--port", str(es.port))
    eventually(lambda: screen.pixels().count(CURVE) == 0, what="a line that says that it is back")
    spawn(str(folder / "laboratory.py"), *uri, "--pause", "0.02", "--seconds", "1")
    eventually(lambda: screen.pixels().count(CURVE) > 1000, what="curves in the window")
    assert window.terminate() == 0
    assert "Traceback" not in window.stderr


def test_without_a_screen_there_is_one_line(folder: Path, es, spawn: Spawner) -> None:
    window = spawn(str(folder / "window.py"), "--es-uri", es.uri, env={"DISPLAY": None})
    assert window.wait() == 1
    assert window.stderr.count("\n") == 1 and "display" in window.stderr
