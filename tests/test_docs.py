"""The documents: every contract line that is cited exists, every line has a test, every link leads somewhere.

Knows: what a citation and a link look like. Must not know: what any line or document says.
"""

from __future__ import annotations

import ast
import functools
import io
import re
import tokenize
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CONTRACT = ROOT / "docs" / "contract.md"

# `C16` and `C23a` in prose, `c16` in the name of a test.
CITATION = re.compile(r"(?<![A-Za-z0-9])[Cc]([1-9][0-9]?[a-z]?)(?![A-Za-z0-9])")
LINE = re.compile(r"^\*\*C([1-9][0-9]?[a-z]?)\.\*\*", re.MULTILINE)
LINK = re.compile(r"\]\(([^()\s]+)\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
# The first column of a table of modules and folders, and one of these.
ROW = re.compile(r"^\| (`[^|]*`[^|]*) \|", re.MULTILINE)
MODULE = re.compile(r"`([a-z_/]+(?:\.py|/))`")
ELSEWHERE = ("http://", "https://", "mailto:")


def files(pattern: str, root: Path = ROOT) -> list[Path]:
    """The files of the clone by that pattern, without what tools have put there."""
    made = {"build", "dist", "node_modules"}
    found = [path for path in root.glob(pattern) if not path.name.startswith(".")]
    for folder in root.iterdir():  # and not all of .venv
        if folder.is_dir() and not folder.name.startswith(".") and folder.name not in made:
            found += files(pattern, folder)
    return sorted(found)


def prose(source: str) -> str:
    """The comments and docstrings of a module, and the names of its functions."""
    found = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.append(node.name.replace("_", " "))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found.append(str(node.value.value))
    return "\n".join(found)


@functools.cache
def cited(path: Path) -> frozenset[str]:
    """The lines of the contract that a file cites."""
    text = path.read_text("utf-8")
    return frozenset(CITATION.findall(prose(text) if path.suffix == ".py" else text))


def lines(contract: str) -> list[str]:
    return LINE.findall(contract)


def anchors(document: str) -> set[str]:
    """What a link can name in a document: its headings, as GitHub and its like spell them."""
    found: set[str] = set()
    seen: Counter[str] = Counter()
    for heading in HEADING.findall(re.sub(r"^```.*?^```", "", document, flags=re.MULTILINE | re.DOTALL)):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return found


def leads_somewhere(link: str, document: Path) -> bool:
    """Whether a relative link of a document names a file, or a heading, that is there."""
    name, _, anchor = link.partition("#")
    target = document.parent / name if name else document
    if anchor:
        return target.suffix == ".md" and target.exists() and anchor in anchors(target.read_text("utf-8"))
    return target.exists()


def dead_links(document: Path) -> list[str]:
    """The relative links of a document that lead nowhere."""
    links: list[str] = LINK.findall(CODE.sub("", document.read_text("utf-8")))
    return [each for each in links if not each.startswith(ELSEWHERE) and not leads_somewhere(each, document)]


def test_what_is_cited_is_in_the_contract() -> None:
    known = set(lines(CONTRACT.read_text("utf-8")))
    places = {path: cited(path) - known for path in [*files("*.py"), *files("*.md")]}
    assert {str(path.relative_to(ROOT)): unknown for path, unknown in places.items() if unknown} == {}


def test_each_line_of_the_contract_is_there_once_and_cited_by_a_test() -> None:
    known = lines(CONTRACT.read_text("utf-8"))
    assert len(known) > 40
    assert [line for line, count in Counter(known).items() if count > 1] == []
    tests = [path for path in files("test_*.py", ROOT / "tests") if path != Path(__file__).resolve()]
    tested = set().union(*map(cited, tests))
    assert sorted(set(known) - tested) == []


@pytest.mark.parametrize("document", files("*.md"), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    assert dead_links(document) == []


def test_citations_are_found_where_they_are_written(tmp_path: Path) -> None:
    module, document = tmp_path / "test_module.py", tmp_path / "document.md"
    module.write_text(
        '"""C1 and (C2)."""\nX = "C3"  # C4, C5a\n\ndef test_c6_and_c7b_hold() -> None:\n    """C8: so."""\n'
    )
    document.write_text("C9 to C10, C40a; AC11, C12X, C0 and C123 are something else\n")
    assert cited(module) == {"1", "2", "4", "5a", "6", "7b", "8"}
    assert cited(document) == {"9", "10", "40a"}
    assert lines("**C1.** So. See **C2.**\n**C3a.** And so.\n- **C4.** No.") == ["1", "3a"]


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# A `heading`, twice\n## A heading twice\n```\n# no heading\n```\n")
    document = tmp_path / "document.md"
    document.write_text(
        "[a](there.md) [b](there.md#a-heading-twice) [c](there.md#a-heading-twice-1) [d](#here) [e](.)\n"
        "# Here\n`[f](gone.md)` [g](https://example.org/gone.md)\n```\n[h](gone.md)\n```\n"
        "![i](gone.svg) [j](there.md#gone) [k](#gone) [l](there.md#no-heading) [m](.#here)"
    )
    assert dead_links(document) == [
        "gone.svg",
        "there.md#gone",
        "#gone",
        "there.md#no-heading",
        ".#here",
    ]


def test_the_table_of_modules_names_what_there_is() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    table = text.partition("| in `pyro_events/` |")[2].partition("\n\n")[0]
    named = {name for row in ROW.findall(table) for name in MODULE.findall(row) if "pytest" not in name}
    package = ROOT / "pyro_events"
    assert {name for name in named if not (package / name).exists()} == set()
    folders = {path.parent.relative_to(package) for path in package.glob("*/*/__init__.py")}
    assert {f"{folder.as_posix()}/" for folder in folders} - named == set()
