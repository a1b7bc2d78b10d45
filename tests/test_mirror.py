"""Each module of the package has a test file of its name, in the same place."""

from __future__ import annotations

from pathlib import Path

from test_imports import PACKAGE, ROOT

# Nothing but types and names that others use.
NOTHING_TO_TEST = {
    "broker/retained/last.py",
    "broker/snapshots.py",
    "client/reconnect/target.py",
    "server/clients/owner.py",
    "server/subscribers/owner.py",
    "wire/errors.py",
}
# Modules that have none yet; the list can only become shorter.
STILL_WITHOUT: set[str] = set()


def without_tests(root: Path) -> set[str]:
    """The modules without a test file, as paths below the package."""
    files = (file.relative_to(root / PACKAGE) for file in (root / PACKAGE).rglob("*.py"))
    return {
        file.as_posix()
        for file in files
        if file.name != "__init__.py" and not (root / "tests" / file.parent / f"test_{file.name}").exists()
    }


def test_each_module_has_a_test_file_of_its_name() -> None:
    assert without_tests(ROOT) == NOTHING_TO_TEST | STILL_WITHOUT


def test_a_module_without_one_is_found(tmp_path: Path) -> None:
    for name in (f"{PACKAGE}/__init__.py", f"{PACKAGE}/a/b.py", f"{PACKAGE}/c.py", "tests/a/test_b.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert without_tests(tmp_path) == {"c.py"}
