"""The package of another revision, in a folder of its own, and whether children really import it.

Knows: folders and children. Must not know: what is measured.
"""

from __future__ import annotations

import compileall
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..children.processes import environment, package_from
from ..clone import COMPILED, PACKAGE, ROOT, RevisionError, unpack


@contextlib.contextmanager
def other(revision: str) -> Iterator[tuple[str, Path]]:
    """The name and the folder of another package. Raises RevisionError.

    revision: whatever git takes, a folder that holds the package (what `pip install --target` has built), or
    "compiled": the compiled form of the one here, which scripts/benchmark has built.
    """
    if revision == "compiled":
        if not (COMPILED / PACKAGE).is_dir():
            raise RevisionError(f"{COMPILED} is not there: scripts/benchmark --against compiled builds it")
        yield revision, _checked(COMPILED)
        return
    if (Path(revision) / PACKAGE).is_dir():
        folder = Path(revision).resolve()
        yield folder.name, _checked(folder)
        return
    with tempfile.TemporaryDirectory(prefix="pyro_events-benchmark-") as made:
        folder = Path(made)
        name = unpack(revision, folder)
        # Otherwise only the first measurement of this side would compile the modules.
        compileall.compile_dir(folder, quiet=2)
        yield name, _checked(folder)


def here() -> Path:
    """The folder of the package that is worked on."""
    return _checked(ROOT)


def _checked(folder: Path) -> Path:
    """The folder, if a child that is told to imports the package from there. Raises RevisionError."""
    with package_from(folder), tempfile.TemporaryDirectory() as elsewhere:
        asked = subprocess.run(
            [sys.executable, "-c", f"import {PACKAGE}; print({PACKAGE}.__file__)"],
            cwd=elsewhere,
            env=environment(),
            capture_output=True,
            text=True,
        )
    if asked.returncode:
        raise RevisionError(f"{PACKAGE} in {folder} cannot be imported: {asked.stderr.strip()[-500:]}")
    found = Path(asked.stdout.strip()).resolve()
    if not found.is_relative_to(folder.resolve()):
        raise RevisionError(f"{PACKAGE} was imported from {found} and not from {folder}")
    return folder
