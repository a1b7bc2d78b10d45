"""Regular expressions as RE2 takes them: what is compiled, what is refused, and when RE2 is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pyro_events.broker.matching.regexps import RegexpError, compiled, compiled_set

MIB = 1 << 20


def test_an_expression_matches_from_the_start_and_case_counts() -> None:
    regexp = compiled("ab", MIB)
    assert regexp.match("abc") is not None
    assert regexp.match("cab") is None
    assert regexp.match("AB") is None
    assert regexp.programsize > 0


def test_what_re2_refuses_is_said_in_its_words() -> None:
    with pytest.raises(RegexpError, match="invalid repetition size"):
        compiled("a{2000}", MIB)


def test_a_set_knows_which_of_its_expressions_match() -> None:
    matcher = compiled_set([b"", "a", "b.*"], MIB)
    assert sorted(matcher.Match(b"abc") or []) == [0, 1]
    assert sorted(matcher.Match("bö".encode()) or []) == [0, 2]


def test_a_set_without_enough_memory_is_refused() -> None:
    with pytest.raises(RegexpError):
        compiled_set([r"[^é]{100}" * 3 for _ in range(3)], 1 << 14)


def test_re2_is_imported_with_the_first_expression_and_not_before() -> None:
    program = (
        "import sys; from pyro_events.broker.matching import regexps; before = 're2' in sys.modules;"
        "regexps.compiled('a', 1 << 20); print(before, 're2' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["False", "True"], done.stderr
