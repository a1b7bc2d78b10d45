"""The seed corpus: inputs that bring a fuzzer far from its first minute on, as lines of hexadecimal.

Knows: the files beside this module. Must not know: what a target does with an input.

`corpus/TARGET.txt` is written by `python -m fuzz.seeds`; `corpus/TARGET.found.txt`, if there is one,
holds what a fuzzer once found, one line for each, and is kept for ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

CORPUS: Final = Path(__file__).resolve().parent / "corpus"


def seeds(target: str) -> list[bytes]:
    """The inputs of one target, those that were found once last."""
    lines: list[str] = []
    for path in (CORPUS / f"{target}.txt", CORPUS / f"{target}.found.txt"):
        if path.is_file():
            lines += path.read_text("ascii").splitlines()
    return [bytes.fromhex(line) for line in lines]


def as_text(inputs: Iterable[bytes]) -> str:
    """Inputs as the lines of a file, each once, in their order."""
    return "".join(f"{line.hex()}\n" for line in dict.fromkeys(inputs) if line)


def unpack(target: str, folder: Path) -> None:
    """Write the inputs into a folder, a file each, as libFuzzer wants them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds(target)):
        (folder / f"seed-{number:04}").write_bytes(data)
