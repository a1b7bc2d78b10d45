"""That the public names are where the package says, and are imported only when they are asked for."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import pyro_events

SOURCE = Path(pyro_events.__file__).read_text("utf-8")


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


def imported_for_types() -> dict[str, set[str]]:
    """The names that type checkers see, by their modules."""
    (block,) = [
        node
        for node in ast.parse(SOURCE).body
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node)
    ]
    return {
        f".{node.module}": {alias.name for alias in node.names}
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module
    }


def test_type_checkers_and_programs_find_the_same_names() -> None:
    places = {module: set(names) for module, names in pyro_events._PLACES.items()}
    assert places == imported_for_types()
    assert set().union(*places.values()) == set(pyro_events.__all__)


@pytest.mark.parametrize("name", pyro_events.__all__)
def test_a_name_is_what_its_module_has(name: str) -> None:
    (module,) = [module for module, names in pyro_events._PLACES.items() if name in names]
    value = getattr(pyro_events, name)
    assert value is getattr(importlib.import_module(module, "pyro_events"), name)
    assert vars(pyro_events)[name] is value  # so that it is looked up once


def test_a_name_that_there_is_not() -> None:
    with pytest.raises(AttributeError, match="module 'pyro_events' has no attribute 'Topic'"):
        pyro_events.Topic  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'Topic'"):
        exec("from pyro_events import Topic")


def test_importing_the_package_loads_no_engine_and_no_loop() -> None:
    loaded = run("import sys, pyro_events; print(*sorted(sys.modules))").split()
    for name in (
        "asyncio",
        "re2",
        "uvloop",
        "pyro_events.server",
        "pyro_events.client",
        "pyro_events.broker",
    ):
        assert name not in loaded


# Modules of others that only some programs need: for loops, patterns, arrays, zones, a name server.
OTHERS = {"asyncio", "uvloop", "re2", "numpy", "zoneinfo", "pickle", "Pyro5.nameserver"}
ALL = " print(*sorted(sys.modules))"


@pytest.mark.parametrize("name", ["Publisher", "Subscriber", "EventStream"])
def test_a_client_loads_no_service_and_no_loop(name: str) -> None:
    loaded = run(f"import sys; from pyro_events import {name};{ALL}").split()
    assert pyro_events.__name__ in loaded
    assert OTHERS.isdisjoint(loaded)
    assert "pyro_events.client.statistics" not in loaded
    assert not [module for module in loaded if module.startswith("pyro_events.server")]


def test_a_publisher_loads_nothing_of_what_it_may_never_use() -> None:
    loaded = run(f"import sys; from pyro_events import Publisher;{ALL}").split()
    assert "pyro_events.client.publisher" in loaded
    assert {"Pyro5.server", "hashlib"}.isdisjoint(loaded)
    for part in (
        "broker.matching.patterns",
        "broker.matching.syntax",
        "client.background",
        "client.dispatch",
        "client.interest",
        "client.reconnect",
        "client.statistics",
        "client.stream",
        "client.subscribing",
    ):
        assert f"pyro_events.{part}" not in loaded


def test_what_a_publisher_did_not_load_works_when_it_is_used() -> None:
    code = (
        "import sys; from pyro_events import EventServiceStarter, Publisher\n"
        "with EventServiceStarter(port=0, use_ns=False) as es, Publisher(es_uri=es.uri) as market:\n"
        "    with market.on_interest('A', call=print), market.background() as instrument:\n"
        "        instrument.publish('A', 1)\n"
        "    print(market.listeners('A'), market.statistics().published)"
    )
    assert run(code) == "{'A': 0} 1"


def test_everything_can_be_imported_at_once() -> None:
    assert run("from pyro_events import *; print(Publisher.__name__, Event.__name__)") == "Publisher Event"
    assert run("import pyro_events; print(pyro_events.aio.Publisher.__module__)").endswith("aio.publisher")
