"""What mypy says about programs that use the package as it is installed, with its py.typed.

Knows: mypy, and how a package is installed. Must not know: what the programs do.
"""

from __future__ import annotations

import re
import shutil
import sysconfig
import venv
from pathlib import Path

import pytest
from processes import Process, Spawner

PROGRAMS = Path(__file__).parent / "programs"
# In which program mypy found an error, where, and its code.
ERROR = re.compile(r"(\w+\.py):(\d+): error: .*\[([\w-]+)\]$", re.MULTILINE)
# Pyro5 has no type information.
CONFIGURATION = "[mypy]\nstrict = True\n[mypy-Pyro5.*]\nignore_missing_imports = True\n"


@pytest.fixture
def installed(tmp_path: Path, root: Path) -> Path:
    """The interpreter of an environment that the package is installed in."""
    place = tmp_path / "environment"
    venv.create(place, symlinks=True)
    packages = Path(
        sysconfig.get_path("purelib", "posix_prefix", {"base": str(place), "platbase": str(place)})
    )
    shutil.copytree(root / "pyro_events", packages / "pyro_events")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    return place / "bin" / "python"


def checked(spawn: Spawner, interpreter: Path, folder: Path, *programs: str) -> Process:
    """mypy, which checks programs."""
    settings = folder / "mypy.ini"
    settings.write_text(CONFIGURATION, "utf-8")
    return spawn(
        *("-m", "mypy", "--strict", "--config-file", str(settings), "--cache-dir", str(folder / "cache")),
        *("--python-executable", str(interpreter), *(str(PROGRAMS / program) for program in programs)),
        cwd=str(folder),  # or it would take the package of this clone
        env={"PYTHONPATH": None},
    )


def marked(program: str) -> dict[int, str]:
    """The lines of a program that say which error is in them."""
    lines = (PROGRAMS / program).read_text("utf-8").splitlines()
    found = ((number, re.search(r"  # ([a-z-]+)$", line)) for number, line in enumerate(lines, 1))
    return {number: match.group(1) for number, match in found if match is not None}


def test_mypy_finds_every_mistake_and_nothing_else(spawn: Spawner, installed: Path, tmp_path: Path) -> None:
    programs = "typed_program.py", "badly_typed_program.py"
    checking = checked(spawn, installed, tmp_path, *programs)
    assert checking.wait(50) == 1, checking
    found = {program: dict[int, str]() for program in programs}
    for program, line, code in ERROR.findall(checking.stdout):
        found[program][int(line)] = code
    assert found == {program: marked(program) for program in programs}, checking
    assert len(found["badly_typed_program.py"]) > 40 and not found["typed_program.py"]


def test_a_typed_program_runs(spawn: Spawner) -> None:
    running = spawn(str(PROGRAMS / "typed_program.py"))
    assert running.wait(30) == 0, running
