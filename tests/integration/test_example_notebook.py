"""examples/notebook, executed from the first cell to the last."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path

import pytest
from processes import Spawner

# What Jupyter does at "Run All", in a process of its own; the kernel is another one.
RUN = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""


@pytest.fixture
def folder(root: Path) -> Path:
    return root / "examples" / "notebook"


def printed(cell: dict) -> str:
    """The text that a cell has printed."""
    return "".join("".join(output["text"]) for output in cell["outputs"] if output["output_type"] == "stream")


def size(picture: str) -> tuple[int, int]:
    """Width and height of a PNG in base64."""
    data = base64.b64decode(picture)
    assert data.startswith(b"\x89PNG")
    return struct.unpack_from(">2I", data, 16)


def test_the_notebook_runs(
    folder: Path, named_es, spawn: Spawner, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    text = (folder / "laboratory.ipynb").read_text("utf-8")
    assert text.count("SECONDS = 10 ") == 1
    source, result = tmp_path / "source.ipynb", tmp_path / "result.ipynb"
    source.write_text(text.replace("SECONDS = 10 ", "SECONDS = 1 "), "utf-8")
    laboratory = str(folder.parent / "window" / "laboratory.py")
    spawn(laboratory, "--pause", "0.02", env=named_es.env, ready="measuring")
    env = {
        **named_es.env,
        "IPYTHONDIR": str(tmp_path),
        "JUPYTER_CONFIG_DIR": str(tmp_path),
        "JUPYTER_DATA_DIR": str(tmp_path),
        "JUPYTER_RUNTIME_DIR": str(tmp_path),
        "MPLCONFIGDIR": str(pytestconfig.cache.mkdir("matplotlib")),  # which keeps a list of all fonts there
    }
    run = spawn("-c", RUN, str(source), str(result), env=env)
    assert run.wait(100) == 0, run

    cells = [cell for cell in json.loads(result.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
    _, collects, plots, pulls, ends = cells
    assert "".join(collects["outputs"][0]["data"]["text/plain"]) == "True"
    (picture,) = [output["data"] for output in plots["outputs"] if output["output_type"] == "display_data"]
    assert min(size(picture["image/png"])) > 300
    assert [line.split()[0] for line in printed(pulls).splitlines()] == ["LAB.TEMPERATURE"] * 3
    assert printed(ends) == "True 0\n"
