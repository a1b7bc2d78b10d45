"""The wheel: what is in it, what it says of itself, and that it works."""

from __future__ import annotations

import email.message
import email.parser
import shutil
import zipfile
from pathlib import Path

import pytest
from processes import Spawner

import pyro_events

PLUGIN = "pytest_pyro_events.py"
NEEDED = "setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE", PLUGIN
FOLDERS = "pyro_events", "tests", "examples", "scripts", "docs"


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """A copy of what the package is built from, because building leaves files behind."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in NEEDED:
        shutil.copy(root / name, copy)
    for name in FOLDERS:
        shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    return copy


@pytest.fixture
def wheel(copy: Path, tmp_path: Path, spawn: Spawner) -> Path:
    """A wheel of the plain form."""
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path / "wheels")]
    build = spawn("-m", "pip", "wheel", *options, str(copy), env={"PYTHONPATH": None})
    assert build.wait(50) == 0, build
    (wheel,) = (tmp_path / "wheels").iterdir()
    return wheel


@pytest.mark.parametrize(
    ("command", "settings", "complaint"),
    [
        ("wheel", {"PYROEVENTS_COMPILE": "yes"}, "PYROEVENTS_COMPILE is 'yes': set it to 1"),
        ("wheel", {"PYROEVENTS_COMPILE": "1", "CC": "/nowhere/cc"}, "needs a C compiler"),
        ("install --target {} --editable", {"PYROEVENTS_COMPILE": "1"}, "unset PYROEVENTS_COMPILE"),
    ],
)
def test_what_cannot_be_compiled_is_refused(
    command: str, settings: dict[str, str], complaint: str, copy: Path, tmp_path: Path, spawn: Spawner
) -> None:
    """The compiled form itself is built by scripts/test --compiled, which runs all tests with it."""
    options = ["--no-deps", "--no-build-isolation", "--no-index"]
    arguments = [part.format(tmp_path / "target") for part in command.split()]
    build = spawn(
        "-m", "pip", arguments[0], *options, *arguments[1:], str(copy), env={"PYTHONPATH": None, **settings}
    )
    assert build.wait(100) == 1, build
    assert complaint in " ".join((build.stdout + build.stderr).split()), build


def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.parser.Parser().parsestr(archive.read(name).decode())


def test_the_wheel(wheel: Path, root: Path, tmp_path: Path, spawn: Spawner) -> None:
    copy = tmp_path / "copy"
    version = pyro_events.__version__
    assert wheel.name == f"pyro_events-{version}-py3-none-any.whl"

    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    info = f"pyro_events-{version}.dist-info/"
    package = {name for name in names if not name.startswith(info)}
    sources = {str(path.relative_to(copy)) for path in (copy / "pyro_events").rglob("*.py")}
    assert package == sources | {"pyro_events/py.typed", PLUGIN}
    assert any(name.startswith(info) and name.endswith("LICENSE") for name in names)

    about = metadata(wheel)
    assert (about["Name"], about["Version"]) == ("pyro_events", version)
    assert about["Requires-Python"] == ">=3.10"
    assert about["Summary"] and about["Keywords"] and about.get_all("Classifier")
    assert about["License"] == "MIT" or about["License-Expression"] == "MIT"
    assert {"numpy", "examples", "all", "test", "dev"} <= set(about.get_all("Provides-Extra", []))
    always = [line for line in about.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert sorted(line.split(">")[0].split("<")[0].strip() for line in always) == [
        "Pyro5",
        "google-re2",
        "msgpack",
        "serpent",
        "tomli",
        "uvloop",
    ]
    assert (root / "README.md").read_text() in str(about.get_payload())

    place = tmp_path / "installed"
    options = ["--quiet", "--no-deps", "--no-index", "--target", str(place)]
    assert spawn("-m", "pip", "install", *options, str(wheel)).wait(50) == 0
    alone = {"PYTHONPATH": str(place)}
    code = "import pyro_events; print(pyro_events.__file__)"
    assert spawn("-c", code, env=alone, cwd=str(tmp_path)).wait_for(".+").group().startswith(str(place))
    console = spawn.command(str(place / "bin" / "pyro-es"), "--help", env=alone)
    assert console.wait() == 0
    assert "--embed-ns" in console.stdout
    check_plugin(spawn, place, tmp_path)


def check_plugin(spawn: Spawner, place: Path, tmp_path: Path) -> None:
    """pytest has the fixture, and does not warn where a program has imported the package before."""
    test = "from pyro_events import Publisher\ndef test_it(event_service): Publisher().close()\n"
    (tmp_path / "test_program.py").write_text(test, "utf-8")
    code = "import pyro_events, pytest; print(pyro_events.__file__); pytest.main(['-q', 'test_program.py'])"
    options = {"PYTHONPATH": str(place), "PYTEST_ADDOPTS": "-W error -p no:cacheprovider"}
    process = spawn("-W", "error", "-c", code, env=options, cwd=str(tmp_path))
    assert process.wait() == 0 and process.stdout.startswith(str(place)), process
    process.wait_for("^1 passed")


def test_the_package_is_typed(root: Path) -> None:
    assert (root / "pyro_events" / "py.typed").exists()
