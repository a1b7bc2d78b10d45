"""The fuzzers' targets over their seed corpus, without a fuzzer.

Knows: fuzz/. Must not know: atheris, which only `scripts/fuzz` needs.
"""

from __future__ import annotations

from typing import Any

import pytest

from fuzz import targets
from fuzz.corpus import CORPUS, seeds
from fuzz.seeds import generate
from fuzz.targets import TARGETS
from pyro_events.wire.frames import FrameLimits, FrameReader


@pytest.mark.parametrize("name", TARGETS)
def test_every_seed(name: str) -> None:
    target, inputs = TARGETS[name], seeds(name)
    assert len(inputs) > 50
    for data in inputs:
        target(data)


@pytest.mark.parametrize("name", TARGETS)
def test_every_seed_cut_short_and_with_a_wrong_bit(name: str) -> None:
    """Not each of both for each seed: that is the fuzzers' work."""
    target = TARGETS[name]
    for number, data in enumerate(seeds(name)):
        at = number * 7919 % (len(data) + 1)
        target(data[:at])
        target(data[:at] + bytes([byte ^ 1 << number % 8 for byte in data[at : at + 1]]) + data[at + 1 :])


def test_empty_input() -> None:
    for target in TARGETS.values():
        target(b"")


def test_the_corpus_is_what_its_script_writes() -> None:
    pytest.importorskip("numpy")
    for target, text in generate().items():
        assert (CORPUS / f"{target}.txt").read_text("ascii") == text, "run python -m fuzz.seeds"


def test_a_target_notices() -> None:
    """What a target would say if whole and bytewise reading differed."""

    class Forgetful:
        def __init__(self, limits: FrameLimits) -> None:
            self._reader = FrameReader(limits)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._reader, name)

        def feed(self, data: bytes) -> None:
            self._reader.feed(data if len(data) > 1 else b"P")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(targets, "FrameReader", Forgetful)
        with pytest.raises(AssertionError):
            targets.frames(seeds("frames")[0])
