"""Which form of the package runs. CI runs these tests in both, and says which by PYROEVENTS_TESTS_EXPECT."""

from __future__ import annotations

import os
import sys
import sysconfig
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
from Pyro5.api import Proxy
from test_compiled_modules import COMPILED

from pyro_events import EventServiceStarter, Publisher, Subscriber, version
from pyro_events.version import is_compiled

# Taken when the tests are collected, because no test sees a variable of ours.
EXPECTED = os.environ.get("PYROEVENTS_TESTS_EXPECT")


def file_of(name: str) -> Path:
    """Where a module was loaded from."""
    file = import_module(name.removesuffix(".py").replace("/", ".")).__file__
    assert file is not None
    return Path(file)


@pytest.mark.skipif(EXPECTED is None, reason="only scripts/test knows which form it has asked for")
def test_the_form_is_the_one_that_scripts_test_has_asked_for() -> None:
    assert ("compiled" if is_compiled() else "plain") == EXPECTED


@pytest.mark.parametrize("name", COMPILED)
def test_all_modules_that_can_be_compiled_are_of_one_form(name: str, root: Path) -> None:
    file = file_of(name)
    assert root in file.parents
    assert file.name.endswith(tuple(EXTENSION_SUFFIXES) if is_compiled() else ".py")


def test_the_library_of_the_compiled_modules_is_loaded_with_them() -> None:
    library = f"pyro_events__mypyc{sysconfig.get_config_var('EXT_SUFFIX')}"
    loaded = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
    assert any(file.endswith(library) for file in loaded) is is_compiled()


@pytest.mark.parametrize(("file", "words"), [("version.py", "plain Python"), ("version.cp.so", "compiled")])
def test_the_words_for_a_form(file: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "__file__", file)
    assert version.in_words() == f"pyro_events {version.__version__}, {words}"


def test_statistics_and_the_log_say_which_form_runs(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", "pyro_events"), EventServiceStarter(port=0, use_ns=False) as starter:
        with Publisher(es_uri=starter.uri) as market, Subscriber(es_uri=starter.uri) as ticker:
            ticker.subscribe("STOCKQUOTE.SUN")
            assert market.statistics().compiled is ticker.statistics().compiled is is_compiled()
        with Proxy(starter.uri) as service:
            assert service.statistics()["compiled"] is is_compiled()
    assert caplog.messages[0] == f"event service of {version.in_words()}"
