"""The programs and tests in docs/testing-programs.md, run as the project of somebody who copied them."""

from __future__ import annotations

import re
from pathlib import Path

from processes import Spawner

BLOCK = re.compile(r"^```python\n# (\w+\.py)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_examples_pass(spawn: Spawner, root: Path, tmp_path: Path) -> None:
    page = (root / "docs" / "testing-programs.md").read_text("utf-8")
    programs = dict(BLOCK.findall(page))
    assert len(programs) == page.count("```python") > 6
    for name, source in programs.items():
        (tmp_path / name).write_text(source, "utf-8")
    pytest = ("-m", "pytest", "-W", "error", "-p", "no:cacheprovider", "-ra")
    process = spawn("-W", "error", *pytest, cwd=str(tmp_path))
    assert process.wait(100) == 0, process
    tests = sum(source.count("def test_") for source in programs.values())
    process.wait_for(rf"\b{tests} passed in")
