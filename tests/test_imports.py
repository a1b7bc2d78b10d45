"""What may be imported: only what lies below, never in a circle, and in `broker` and `wire` nothing impure.

Knows: the layers, and how imports are written. Must not know: what any module does.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "pyro_events"

# The layers, from the bottom to the top. A name stands for a module, or for a package and all in it that has
# no name of its own here. What stands in one layer does not import each other. docs/architecture.md draws
# them. The package itself, with the public names, lies above all of them.
LAYERS = (
    ("client_name", "constants", "errors", "foreign_exceptions", "secret", "version"),
    ("log", "options", "passphrase_file", "service_threads"),
    ("broker", "wire"),
    ("client.forks", "client.interruptions", "client.statistics", "codec", "transport"),
    ("event",),
    ("serializers", "client.connection", "server.net", "server.objects", "server.permissions"),
    (
        "client.dispatch",
        "client.publishing",
        "client.reconnect",
        "server.access",
        "server.limits",
        "server.service_events",
    ),
    (
        "client.background",
        "client.daemon",
        "client.own_connection",
        "server.clients",
        "server.names",
        "server.subscribers",
    ),
    ("client.subscribing",),
    ("client", "server"),
    ("aio.connection", "aio.home_loop", "cli"),
    ("aio.streaming",),
    ("aio", "testing"),
    ("es", "ns"),
)

# What a pure module must not import. A name stands for itself and for all below it.
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


@functools.cache
def import_nodes(source: str) -> list[ast.AST]:
    """The parts of a module's tree that may import something."""
    kinds = (ast.Import, ast.ImportFrom, ast.Name)
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]


def imports(name: str, root: Path) -> Iterator[str]:
    """The modules that a module of the package imports, wherever in it, by their full names."""
    file = module_file(name, root)
    assert file is not None, name
    home = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    for node in import_nodes(file.read_text(encoding="utf-8")):
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


def modules(package: str, root: Path = ROOT) -> list[str]:
    """The modules in a package, or in all if it is "", without the name of the whole."""
    names = (
        file.relative_to(root / PACKAGE).with_suffix("").parts for file in (root / PACKAGE).rglob("*.py")
    )
    found = sorted(".".join(name).removesuffix("__init__").rstrip(".") for name in names)
    return [name for name in found if f"{name}.".startswith(f"{package}.") or not package]


def imported(module: str, root: Path = ROOT) -> set[str]:
    """The modules of the package that one of them imports, all without the name of the whole."""
    whole = f"{PACKAGE}.{module}".rstrip(".")
    return {
        name.removeprefix(PACKAGE).removeprefix(".")
        for name in imports(whole, root)
        if name.split(".")[0] == PACKAGE
    }


def place(module: str) -> tuple[int, str]:
    """The layer of a module, and the name there that stands for it: the longest that fits."""
    places = [
        (len(name), layer, name)
        for layer, names in enumerate(LAYERS)
        for name in names
        if f"{module}.".startswith(f"{name}.")
    ]
    assert places, f"{module} has no place in LAYERS"
    _, layer, name = max(places)
    return layer, name


def upward(root: Path = ROOT) -> set[str]:
    """The imports that lead up, or sideways."""
    wrong = set()
    for module in modules("", root):
        for other in imported(module, root) if module else ():
            if not other or (place(module)[1] != place(other)[1] and place(module)[0] <= place(other)[0]):
                wrong.add(f"{module} -> {other or PACKAGE}")
    return wrong


def circles(root: Path = ROOT) -> set[tuple[str, ...]]:
    """The sets of modules that import each other, through others too."""
    direct = {module: imported(module, root) for module in modules("", root)}
    behind: dict[str, set[str]] = {}
    for module in direct:
        waiting, reached = [module], set[str]()
        while waiting:
            new = direct.get(waiting.pop(), set()) - reached
            reached |= new
            waiting += new
        behind[module] = reached
    return {
        tuple(sorted(other for other in behind[module] if module in behind.get(other, ())))
        for module in direct
        if module in behind[module]
    }


def test_nothing_is_imported_but_what_lies_below() -> None:
    assert upward() == set()


def test_no_modules_import_each_other() -> None:
    assert circles() == set()


def test_msgpack_is_spelled_in_wire_and_codec_alone() -> None:
    users = {module for module in modules("") if {"msgpack"} & {*imports(f"{PACKAGE}.{module}", ROOT)}}
    assert {user.split(".")[0] for user in users} == {"codec", "wire"}


def test_every_name_in_the_layers_is_a_module() -> None:
    names = [name for layer in LAYERS for name in layer]
    assert len(names) == len(set(names))
    assert [name for name in names if module_file(f"{PACKAGE}.{name}", ROOT) is None] == []


def package_of(root: Path, **sources: str) -> Path:
    """A package with modules, `a__b` in place of `a.b`."""
    (root / PACKAGE).mkdir()
    (root / PACKAGE / "__init__.py").write_text("from .client import x")
    for name, source in sources.items():
        file = root.joinpath(PACKAGE, *name.split("__")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        (file.parent / "__init__.py").touch()
        file.write_text(source)
    return root


def test_an_import_upward_is_found_wherever_it_stands(tmp_path: Path) -> None:
    root = package_of(
        tmp_path,
        constants="def f():\n    from .broker import x",
        broker__x="from ..wire import y",
        wire__y="if TYPE_CHECKING:\n    from .. import __version__",
        server__limits__z="from ...server.engine import Engine\nfrom ..net import sockets",
        server__net__sockets="from ... import constants",
        server__engine="from .limits.z import x\nfrom ..broker import x",
    )
    (root / PACKAGE / "server" / "__init__.py").touch()
    assert upward(root) == {
        "constants -> broker.x",
        "broker.x -> wire.y",
        f"wire.y -> {PACKAGE}",
        "server.limits.z -> server.engine",
    }


def test_a_circle_is_found_through_other_modules(tmp_path: Path) -> None:
    root = package_of(
        tmp_path,
        codec__a="from .b import x",
        codec__b="def f():\n    from . import c",
        codec__c="from .a import y",
        codec__d="from .a import y",
    )
    assert circles(root) == {("codec.a", "codec.b", "codec.c")}


@pytest.mark.parametrize("module", modules("broker") + modules("wire"))
def test_broker_and_wire_know_no_socket_thread_clock_or_daemon(module: str) -> None:
    assert offences(f"{PACKAGE}.{module}") == []


def test_the_pure_packages_are_there() -> None:
    assert "broker.matching.routing" in modules("broker")
    assert "wire.frames" in modules("wire")


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
    package = tmp_path / PACKAGE / "broker"
    server = tmp_path / PACKAGE / "server"
    package.mkdir(parents=True)
    server.mkdir()
    for empty in tmp_path / PACKAGE, package, server:
        (empty / "__init__.py").write_text("")
    (server / "engine.py").write_text("")
    (package / "other.py").write_text("from ..shared import thing")
    (tmp_path / PACKAGE / "shared.py").write_text("import socket")
    (package / "module.py").write_text(source)
    assert offences(f"{PACKAGE}.broker.module", tmp_path)


def test_the_check_finds_nothing_wrong_with_what_is_allowed(tmp_path: Path) -> None:
    package = tmp_path / PACKAGE / "broker"
    package.mkdir(parents=True)
    for empty in tmp_path / PACKAGE, package:
        (empty / "__init__.py").write_text("")
    (tmp_path / PACKAGE / "constants.py").write_text("import timeit")
    (package / "other.py").write_text("import Pyro5.errors\nfrom Pyro5 import core")
    (package / "module.py").write_text(
        "import re2\nfrom .. import constants\nfrom ..constants import X\nfrom .other import y"
    )
    assert offences(f"{PACKAGE}.broker.module", tmp_path) == []
