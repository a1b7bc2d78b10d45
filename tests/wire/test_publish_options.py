"""The options of a publish call: what is read, and what is refused with its name."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from pyro_events.wire.publish_options import RETAIN, read_publish_options


@pytest.mark.parametrize(
    ("options", "retained"),
    [
        (None, False),
        ({}, False),
        (RETAIN, True),
        ({"retain": False}, False),
        (MappingProxyType({"retain": True}), True),
    ],
)
def test_an_entry_is_retained_or_not(options: Any, retained: bool) -> None:
    assert read_publish_options(options) is retained


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        (True, TypeError, "must be a dictionary, not bool"),
        ([("retain", True)], TypeError, "must be a dictionary, not list"),
        ({"retain": 1}, TypeError, "retain must be True or False, not int"),
        ({"retain": None}, TypeError, "retain must be True or False, not NoneType"),
        ({"Retain": True}, ValueError, "has the option 'retain', and not 'Retain'"),
        ({"retain": True, 5: 1}, ValueError, "and not 5"),
        ({"x" * 10_000: 1}, ValueError, r"and not 'x+\.\.\.x+'$"),
    ],
)
def test_anything_else_is_refused(options: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        read_publish_options(options)
