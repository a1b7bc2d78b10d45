"""The seed corpus: inputs that take a fuzzer far from its first minute on, as lines of hexadecimal.

Knows: the files beside this module. Must not know: what a target does with an input.

`python -m fuzz.seeds` writes `corpus/TARGET.txt`. `corpus/TARGET.found.txt`, if there is one, contains inputs
with which a fuzzer once found a bug, one in each line, and is never deleted.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

CORPUS: Final = Path(__file__).resolve().parent / "corpus"


def seeds(target: str) -> list[bytes]:
    """The inputs of one target; at the end those that a fuzzer once found."""
    lines: list[str] = []
    for path in (CORPUS / f"{target}.txt", CORPUS / f"{target}.found.txt"):
        if path.is_file():
            lines += path.read_text("ascii").splitlines()
    return [bytes.fromhex(line) for line in lines]


def as_text(inputs: Iterable[bytes]) -> str:
    """Inputs as the lines of a file, each once, in their order."""
    return "".join(f"{line.hex()}\n" for line in dict.fromkeys(inputs) if line)


def unpack(target: str, folder: Path) -> None:
    """Write the inputs into a folder, each into its own file, as libFuzzer needs them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds(target)):
        (folder / f"seed-{number:04}").write_bytes(data)
