"""The rooms of the house: what `broker` and `wire` may know, checked on their source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "pyro_events"

# A name stands for itself and for all below it.
FORBIDDEN = (
    "asyncio",
    "importlib",
    "select",
    "selectors",
    "socket",
    "threading",
    "time",
    "uvloop",
    "Pyro5.api",
    "Pyro5.client",
    "Pyro5.nameserver",
    "Pyro5.server",
    "Pyro5.socketutil",
    f"{PACKAGE}.client",
    f"{PACKAGE}.server",
)


def module_file(name: str, root: Path) -> Path | None:
    """The source of a module of the package; None for anything else."""
    path = root.joinpath(*name.split("."))
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if name.split(".")[0] == PACKAGE and candidate.is_file():
            return candidate
    return None


def imports(name: str, root: Path) -> Iterator[str]:
    """The modules that a module of the package imports, wherever in it, by their full names."""
    file = module_file(name, root)
    assert file is not None, name
    home = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = home[: len(home) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                # `from package import module` names a module; `from module import thing` does not,
                # but then `module.thing` is below `module` and no less forbidden.
                whole = f"{source}.{alias.name}"
                yield whole if module_file(whole, root) or source == "Pyro5" else source
        elif isinstance(node, ast.Name) and node.id == "__import__":
            yield "importlib"


def reachable(start: str, root: Path) -> dict[str, list[str]]:
    """Every module imported from `start`, also through others of the package, and the way to it."""
    ways: dict[str, list[str]] = {start: [start]}
    waiting = [start]
    while waiting:
        current = waiting.pop()
        for found in imports(current, root):
            if found not in ways:
                ways[found] = [*ways[current], found]
                # The package itself imports everything for its user, so what lies behind it is not
                # followed; taking a name from it is an offence of its own.
                if found != PACKAGE and module_file(found, root):
                    waiting.append(found)
    return ways


def offences(start: str, root: Path = ROOT) -> list[str]:
    return [
        " -> ".join(way)
        for name, way in reachable(start, root).items()
        if name == PACKAGE or any(f"{name}.".startswith(f"{banned}.") for banned in FORBIDDEN)
    ]


def modules(room: str) -> list[str]:
    files = (ROOT / PACKAGE / room).rglob("*.py")
    names = (file.relative_to(ROOT).with_suffix("").parts for file in files)
    return sorted(".".join(parts).removesuffix(".__init__") for parts in names)


@pytest.mark.parametrize("module", modules("broker") + modules("wire"))
def test_broker_and_wire_know_no_socket_thread_clock_or_daemon(module: str) -> None:
    assert offences(module) == []


def test_the_rooms_are_there() -> None:
    assert f"{PACKAGE}.broker.matching.routing" in modules("broker")
    assert f"{PACKAGE}.wire.frames" in modules("wire")


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "import os, socket",
        "import asyncio.events",
        "from threading import Lock",
        "from time import monotonic as now",
        "def f():\n    import selectors",
        "if False:\n    from Pyro5 import server",
        "import Pyro5.server",
        "from Pyro5.client import Proxy",
        "__import__('socket')",
        "from ..server import engine",
        "from .. import server",
        "from ..server.engine import Engine",
        "import pyro_events.client",
        "from pyro_events import Publisher",
        "import pyro_events",
        "from . import other",
        "from .other import thing",
        "from ..shared import thing",
    ],
)
def test_the_check_finds_every_way_around_it(source: str, tmp_path: Path) -> None:
    room = tmp_path / PACKAGE / "broker"
    server = tmp_path / PACKAGE / "server"
    room.mkdir(parents=True)
    server.mkdir()
    for empty in tmp_path / PACKAGE, room, server:
        (empty / "__init__.py").write_text("")
    (server / "engine.py").write_text("")
    (room / "other.py").write_text("from ..shared import thing")
    (tmp_path / PACKAGE / "shared.py").write_text("import socket")
    (room / "module.py").write_text(source)
    assert offences(f"{PACKAGE}.broker.module", tmp_path)


def test_the_check_finds_nothing_wrong_with_what_is_allowed(tmp_path: Path) -> None:
    room = tmp_path / PACKAGE / "broker"
    room.mkdir(parents=True)
    for empty in tmp_path / PACKAGE, room:
        (empty / "__init__.py").write_text("")
    (tmp_path / PACKAGE / "constants.py").write_text("import timeit")
    (room / "other.py").write_text("import Pyro5.errors\nfrom Pyro5 import core")
    (room / "module.py").write_text(
        "import re2\nfrom .. import constants\nfrom ..constants import X\nfrom .other import y"
    )
    assert offences(f"{PACKAGE}.broker.module", tmp_path) == []
