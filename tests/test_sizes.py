"""What a reader is asked to hold in mind at once: the sizes of folders, modules and functions.

Knows: the bounds, and how lines are counted. Must not know: what is in them.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_imports import PACKAGE, ROOT

MODULES_OF_A_FOLDER = 12  # without its __init__.py
LINES_OF_A_MODULE = 300
LINES_OF_A_FUNCTION = 40  # without its docstring

# The package, and what is run beside it.
FOLDERS = [ROOT / name for name in (PACKAGE, "benchmarks", "examples", "fuzz", "resilience")]
each_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def sources(root: Path) -> Iterator[tuple[str, str]]:
    """Each module's file below a folder, and its text."""
    for file in sorted(root.rglob("*.py")):
        yield file.relative_to(root).as_posix(), file.read_text(encoding="utf-8")


def crowded_folders(root: Path) -> dict[str, int]:
    files = (Path(name) for name, _ in sources(root))
    found = Counter(file.parent.as_posix() for file in files if file.name != "__init__.py")
    return {folder: count for folder, count in found.items() if count > MODULES_OF_A_FOLDER}


def long_modules(root: Path) -> dict[str, int]:
    found = {name: len(text.splitlines()) for name, text in sources(root)}
    return {name: lines for name, lines in found.items() if lines > LINES_OF_A_MODULE}


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function, from `def` to its end, without its docstring."""
    assert function.end_lineno is not None
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        assert docstring.end_lineno is not None
        lines -= docstring.end_lineno - docstring.lineno + 1
    return lines


def long_functions(root: Path) -> dict[str, int]:
    return {
        f"{name}: {node.name}": length(node)
        for name, text in sources(root)
        for node in ast.walk(ast.parse(text, name))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and length(node) > LINES_OF_A_FUNCTION
    }


@each_folder
def test_no_folder_holds_more_modules_than_one_can_remember(folder: Path) -> None:
    assert crowded_folders(folder) == {}


@each_folder
def test_no_module_is_longer_than_one_can_read_at_once(folder: Path) -> None:
    assert long_modules(folder) == {}


@each_folder
def test_no_function_is_longer_than_a_screen(folder: Path) -> None:
    assert long_functions(folder) == {}


def test_what_is_too_large_is_found(tmp_path: Path) -> None:
    for number in range(MODULES_OF_A_FOLDER):
        (tmp_path / f"m{number}.py").touch()
    (tmp_path / "__init__.py").touch()
    body = ["    x = 1"] * (LINES_OF_A_FUNCTION - 1)
    fits = ["def fits():", '    """A text', '    of two lines."""', *body]
    long = ["    async def long():", *(f"    {line}" for line in body), "        x = 1"]
    filler = ["x = 1"] * (LINES_OF_A_MODULE - len(fits) - len(long) - 1)
    module = tmp_path / "m0.py"
    module.write_text("\n".join([*fits, "class C:", *long, *filler]))
    assert (crowded_folders(tmp_path), long_modules(tmp_path)) == ({}, {})
    assert long_functions(tmp_path) == {"m0.py: long": LINES_OF_A_FUNCTION + 1}
    module.write_text(module.read_text() + "\nx = 1")
    (tmp_path / "m.py").touch()
    assert long_modules(tmp_path) == {"m0.py": LINES_OF_A_MODULE + 1}
    assert crowded_folders(tmp_path) == {".": MODULES_OF_A_FOLDER + 1}
