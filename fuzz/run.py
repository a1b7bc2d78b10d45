"""Runs one target under atheris, as `scripts/fuzz` does for each.

Knows: atheris and libFuzzer's options. Must not know: what a target does.

An input that crashes a target is written into the folder, and the exit status is not 0. When the bug is
fixed, add its hexadecimal to `fuzz/corpus/TARGET.found.txt`, so that the tests keep checking it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pyro_events"]):
    from .targets import TARGETS
from .corpus import unpack

# An input that takes longer, or more memory, counts as a bug too: all limits are far below.
_SLOWEST = 5
_MEMORY = 1024  # MiB, the interpreter and numpy included
_LONGEST = 4096  # bytes; no limit of the targets is larger


def main() -> None:
    parser = argparse.ArgumentParser(prog="fuzz.run", description=__doc__)
    parser.add_argument("target", choices=list(TARGETS))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--crashes", type=Path, required=True, help="folder for inputs that crash the target")
    parser.add_argument("--scratch", type=Path, required=True, help="folder that does not exist yet")
    parser.add_argument("--seed", type=int, default=0, help="seed; 0 chooses a new one, which is printed")
    options = parser.parse_args()
    options.crashes.mkdir(parents=True, exist_ok=True)
    found, seeds = options.scratch / "found", options.scratch / "seeds"
    found.mkdir(parents=True)
    unpack(options.target, seeds)
    arguments = [
        sys.argv[0],
        f"-max_total_time={options.seconds}",
        f"-max_len={_LONGEST}",
        f"-timeout={_SLOWEST}",
        f"-rss_limit_mb={_MEMORY}",
        f"-seed={options.seed}",
        f"-artifact_prefix={options.crashes}/{options.target}-",
        "-print_final_stats=1",
        str(found),
        str(seeds),
    ]
    atheris.Setup(arguments, TARGETS[options.target])
    atheris.Fuzz()  # ends the process, without cleaning up


if __name__ == "__main__":
    main()
