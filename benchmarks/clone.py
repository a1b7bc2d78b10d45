"""The clone that the suite is in: its commit, and the package as it is in another revision.

Knows: git. Must not know: what is measured.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "pyro_events"
# Where scripts/benchmark --compiled builds the compiled form of the package.
COMPILED = ROOT / ".venv" / "compiled" / "package"


class RevisionError(Exception):
    """There is no such revision, or git is not installed."""


def commit() -> str:
    """The commit here, with a "+" if the package has changed since; "" where there is no git."""
    try:
        found = _git("rev-parse", "--short", "HEAD").decode().strip()
        return found + ("+" if _git("status", "--porcelain", "--", PACKAGE) else "")
    except RevisionError:
        return ""


def unpack(revision: str, folder: Path) -> str:
    """Put the package of a revision into a folder. Returns the short name of its commit. Raises
    RevisionError."""
    try:
        found = _git("rev-parse", "--verify", "--short", "--end-of-options", f"{revision}^{{commit}}")
    except RevisionError as error:
        raise RevisionError(
            f"{revision!r} is neither a revision ({error}), nor a folder that holds {PACKAGE}/, "
            "nor 'compiled'"
        ) from None
    name = found.decode().strip()
    archive = _git("archive", name, PACKAGE)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
    return name


def _git(*arguments: str) -> bytes:
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise RevisionError(said or f"git {arguments[0]} failed") from None
    except OSError as error:
        raise RevisionError(f"git cannot be run: {error}") from None
