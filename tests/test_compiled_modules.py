"""setup.py's list of the modules that can be compiled, and what mypyc would make something else of in them.

Knows: how classes and generator expressions are written. Must not know: how mypyc works.
"""

from __future__ import annotations

import ast
import runpy
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
from test_imports import ROOT, module_file

SETUP = runpy.run_path(str(ROOT / "setup.py"))
COMPILED: tuple[str, ...] = SETUP["COMPILED"]

# What a class in a compiled module may derive from, beside other classes in such modules. mypyc makes a
# native class of it, which can neither have two bases nor derive from one that is not native.
BASES = {"Enum", "IntEnum", "NamedTuple", "Protocol", "Generic", "Exception", "ValueError", "object"}
# A class without attributes is no obstacle.
BASES |= {"BufferedProtocol"}


def bases(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """Each class, and the last part of the names that it derives from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            found = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
            yield node.name, [ast.unparse(base).rpartition(".")[2] for base in found]


def wrong_classes(trees: list[ast.Module]) -> list[str]:
    """The classes that must not be in compiled modules."""
    native = {name for tree in trees for name, _ in bases(tree)}
    return [
        f"{name}({', '.join(of)})"
        for tree in trees
        for name, of in bases(tree)
        if not set(of) <= BASES | native or len([base for base in of if base in native]) > 1
    ]


def returned_generators(tree: ast.Module) -> list[int]:
    """The lines with a generator expression that no function reads at once: mypyc makes a list of it."""
    calls = {id(argument) for node in ast.walk(tree) if isinstance(node, ast.Call) for argument in node.args}
    return [
        node.lineno for node in ast.walk(tree) if isinstance(node, ast.GeneratorExp) and id(node) not in calls
    ]


def causes(tree: ast.Module) -> list[int]:
    """The lines that raise an exception with a cause: mypyc forgets the cause."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.cause is not None]
    return [node.lineno for node in found if ast.unparse(node.cause or node) != "None"]


def trees() -> list[ast.Module]:
    return [ast.parse((ROOT / name).read_text(encoding="utf-8"), name) for name in COMPILED]


@pytest.mark.parametrize("name", COMPILED)
def test_each_module_is_there(name: str) -> None:
    assert module_file(name.removesuffix(".py").replace("/", "."), ROOT) == ROOT / name


def test_each_module_is_there_once_and_found_at_once() -> None:
    assert len(set(COMPILED)) == len(COMPILED)
    assert list(COMPILED) == sorted(COMPILED)


def test_no_class_derives_from_one_that_is_not_compiled() -> None:
    assert wrong_classes(trees()) == []


def test_no_generator_expression_is_kept() -> None:
    assert [line for tree in trees() for line in returned_generators(tree)] == []


def test_no_exception_has_a_cause() -> None:
    assert [line for tree in trees() for line in causes(tree)] == []


def test_what_an_earlier_build_has_compiled_does_not_get_into_the_next(tmp_path: Path) -> None:
    package = tmp_path / "pyro_events" / "broker"
    package.mkdir(parents=True)
    for suffix in [*EXTENSION_SUFFIXES, ".py"]:
        (package / f"removed_from_the_list{suffix}").touch()
    SETUP["remove_extension_modules"](tmp_path)
    assert [path.name for path in package.iterdir()] == ["removed_from_the_list.py"]
    SETUP["remove_extension_modules"](tmp_path / "not made yet")


def test_what_is_wrong_is_found() -> None:
    tree = ast.parse(
        "class A(Generic[T]): ...\nclass B(A): ...\nclass C(A, B): ...\nclass D(deque[int]): ...\n"
        "class E(Pyro5.errors.PyroError): ...\nf = sum(a for a in b)\ng = (a for a in b)\n"
        "def f():\n  raise A from None\ndef g():\n  raise A from B\n"
    )
    assert wrong_classes([tree]) == ["C(A, B)", "D(deque)", "E(PyroError)"]
    assert returned_generators(tree) == [7]
    assert causes(tree) == [11]
