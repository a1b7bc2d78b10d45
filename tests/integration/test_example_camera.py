"""examples/camera: a logger that loses nothing beside displays that want the latest picture."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from processes import Spawner

FRAME = re.compile(r"^display: frame (\d+), 1024x1024, lag (-?\d+) ms, (\d+) skipped$", re.MULTILINE)


@pytest.fixture
def camera(root: Path) -> Path:
    return root / "examples" / "camera"


def test_the_logger_gets_every_frame_while_displays_are_slow(camera: Path, es, spawn: Spawner) -> None:
    uri = "--es-uri", es.uri
    stuck = spawn(str(camera / "display.py"), *uri, "--pause", "1000", ready="ready")
    slow = spawn(str(camera / "display.py"), *uri, "--pause", "0.15", "--count", "8", ready="ready")
    logger = spawn(str(camera / "logger.py"), *uri, "--count", "60", ready="ready")
    source = spawn(str(camera / "camera.py"), *uri, "--rate", "30")
    assert logger.wait() == 0
    assert logger.stdout.splitlines()[-1] == "logger: 60 frames, 60 MB, 0 lost"
    assert slow.wait() == 0
    shown = [(int(number), int(skipped)) for number, _lag, skipped in FRAME.findall(slow.stdout)]
    assert len(shown) == 8
    before = 0
    for number, skipped in shown:
        assert skipped == number - before - 1
        before = number
    assert before > 8, "a display that is slower than the camera leaves frames out"
    assert len(FRAME.findall(stuck.stdout)) == 1
    source.terminate()
    assert not logger.stderr + slow.stderr + source.stderr


def test_the_camera_says_how_many_frames_it_took(camera: Path, named_es, spawn: Spawner) -> None:
    logger = spawn(str(camera / "logger.py"), "--count", "20", env=named_es.env, ready="ready")
    source = spawn(str(camera / "camera.py"), "--seconds", "1.2", "--rate", "20", env=named_es.env)
    assert source.wait() == 0
    taken = source.wait_for(r"^The camera is off; (\d+) frames, [\d.]+ a second, \d+ late$").group(1)
    assert int(taken) >= 20
    assert logger.wait() == 0
    assert logger.stdout.endswith("logger: 20 frames, 20 MB, 0 lost\n")


def test_a_logger_says_when_frames_may_be_missing(camera: Path, es, start_service, spawn: Spawner) -> None:
    uri = "--es-uri", es.uri
    logger = spawn(str(camera / "logger.py"), *uri, "--count", "15", ready="ready")
    spawn(str(camera / "camera.py"), *uri, "--seconds", "0.5", "--rate", "20").wait()
    es.process.terminate()
    start_service("--port", str(es.port))
    logger.wait_for("^logger: some frames may be missing: ")
    spawn(str(camera / "camera.py"), *uri, "--seconds", "0.5", "--rate", "20").wait()
    assert logger.wait() == 0
    assert logger.stdout.endswith("logger: 15 frames, 15 MB, 0 lost\n")
