"""The drawings of docs/architecture.md: the layers that imports keep to, and the states of a reconnection.

Knows: how the drawings, and the table of transitions, are written. Must not know: which layers or states
there are.
"""

from __future__ import annotations

import re
from pathlib import Path

from test_imports import LAYERS, PACKAGE, ROOT, imports, place

from pyro_events.client.reconnect import state
from pyro_events.client.reconnect.state import State

DRAWING = re.compile(r"^## ([^\n]+)\n[^#]*?^```mermaid\n(.*?)^```", re.MULTILINE | re.DOTALL)
BOX = re.compile(r"^ *(\w+)\W+<b>(.*?)</b>", re.MULTILINE)
TRANSITION = re.compile(r"^ *([A-Z]+) --> ([A-Z]+):", re.MULTILINE)
ARROW = re.compile(r"^ *([\w &]+?) --> ([\w &]+?)$", re.MULTILINE)
# The box of all modules at the top that no other box names.
REST = "base"


def boxes(drawing: str) -> dict[str, str]:
    """In which box a package, or a module at the top, is."""
    return {
        name.removesuffix("/").removesuffix(".py"): box
        for box, names in BOX.findall(drawing)
        for name in names.split(", ")
    }


def below(drawing: str) -> dict[str, set[str]]:
    """What lies below each box: all that its arrows lead to, and what lies below that."""
    arrows: dict[str, set[str]] = {}
    for sources, targets in ARROW.findall(drawing):
        for source in sources.split(" & "):
            arrows.setdefault(source, set()).update(targets.split(" & "))
    found: dict[str, set[str]] = {}
    for box in arrows:
        waiting = [box]
        reached = found.setdefault(box, set())
        while waiting:
            new = arrows.get(waiting.pop(), set()) - reached
            reached |= new
            waiting += new
    return found


def upward(drawing: str, root: Path) -> list[str]:
    """Imports from one box to another that does not lie below it."""
    box_of, lower = boxes(drawing), below(drawing)
    wrong = []
    for file in sorted((root / PACKAGE).rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        module = ".".join(parts).removesuffix(".__init__")
        if module == PACKAGE:  # the public names, of all layers
            continue
        own = box_of.get(parts[1], REST)
        for name in imports(module, root):
            if name.startswith(f"{PACKAGE}."):
                other = box_of.get(name.split(".")[1], REST)
                if other != own and other not in lower.get(own, ()):
                    wrong.append(f"{module} -> {name}")
    return wrong


def drawings() -> dict[str, str]:
    """Each drawing by the heading that it stands under."""
    return dict(DRAWING.findall((ROOT / "docs" / "architecture.md").read_text("utf-8")))


def the_drawing() -> str:
    return drawings()["The layers"]


def transitions(table: str) -> set[tuple[str, str]]:
    """The changes from one state to another in a table of `state  event  next state  …`."""
    rows = [re.split(r"\s{2,}", line.strip()) for line in table.splitlines()]
    names = set(State.__members__)
    return {
        (row[0], row[2]) for row in rows if len(row) > 2 and {row[0], row[2]} <= names and row[0] != row[2]
    }


def test_nothing_is_imported_but_what_lies_below() -> None:
    assert upward(the_drawing(), ROOT) == []


def test_the_drawing_has_all_packages_and_no_circle() -> None:
    drawing = the_drawing()
    packages = {path.parent.name for path in (ROOT / PACKAGE).glob("*/__init__.py")}
    assert packages - set(boxes(drawing)) == set()
    assert all(box not in reached for box, reached in below(drawing).items())
    assert below(drawing)["server"] >= {"broker", "wire", REST}
    assert "server" not in below(drawing)["client"]


def test_every_arrow_leads_down_in_the_layers() -> None:
    drawing = the_drawing()
    of_box: dict[str, set[int]] = {}
    for name, box in boxes(drawing).items():
        of_box.setdefault(box, set()).add(place(name)[0])
    rest = {name for layer in LAYERS for name in layer if "." not in name} - set(boxes(drawing))
    of_box.setdefault(REST, set()).update(place(name)[0] for name in rest)
    for box, reached in below(drawing).items():
        assert all(min(of_box[box]) > max(of_box[other]) for other in reached), (box, reached, of_box)


def test_the_states_are_drawn_as_their_table_says() -> None:
    table = transitions(state.__doc__ or "")
    assert len(table) > 10
    assert set(TRANSITION.findall(drawings()["The states of a reconnection"])) == table


def test_an_import_upward_is_found(tmp_path: Path) -> None:
    arrows = "a --> b & c\nb --> base\n"
    drawing = f'a["<b>upper/, top.py</b>"]\nb(["<b>lower/</b>"])\nbase["<b>log/</b>"]\n{arrows}'
    package = tmp_path / PACKAGE
    for name in ("upper", "lower"):
        (package / name).mkdir(parents=True)
    (package / "__init__.py").write_text("from .upper import x")
    (package / "top.py").write_text("from .upper import x\nfrom .lower import y\nfrom . import common")
    (package / "common.py").write_text("import socket")
    (package / "upper" / "__init__.py").write_text("from ..lower import y\nfrom ..common import z")
    (package / "lower" / "__init__.py").write_text("from . import other\nfrom ..common import z")
    (package / "lower" / "other.py").write_text("")
    assert upward(drawing, tmp_path) == []
    (package / "lower" / "other.py").write_text("def f():\n    from ..upper import x")
    (package / "common.py").write_text("from .top import x")
    assert upward(drawing, tmp_path) == [
        f"{PACKAGE}.common -> {PACKAGE}.top",
        f"{PACKAGE}.lower.other -> {PACKAGE}.upper",
    ]
