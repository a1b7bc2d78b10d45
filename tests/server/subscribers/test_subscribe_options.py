"""What a subscribing call asks for in addition to its names or patterns."""

from __future__ import annotations

from typing import Any

import pytest

from pyro_events.broker.retained.last import Last
from pyro_events.server.subscribers.subscribe_options import SubscribeOptions, read_options


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (None, SubscribeOptions(None)),
        ([1], SubscribeOptions([1])),
        ({}, SubscribeOptions({})),
        ({"backlog": 1}, SubscribeOptions({"backlog": 1})),
        ({"backlog": 1, "ident_call": "x", "anew": True}, SubscribeOptions({"backlog": 1}, "x", True)),
        ({"name": "ticker", "falls_back": True}, SubscribeOptions({}, None, False, "ticker", True)),
        ({"last": True, "max_age": 2.5}, SubscribeOptions({"max_age": 2.5}, last=Last.OF_ALL)),
        ({"last": True, "last_of_new": True}, SubscribeOptions({}, last=Last.OF_NEW)),
        ({"last_of_new": True}, SubscribeOptions({})),
        ({"match": ["^A"], "backlog": 5}, SubscribeOptions({"backlog": 5}, match=["^A"])),
        ({"group": "workers", "ahead": 1, "last": False}, SubscribeOptions({}, group="workers", ahead=1)),
        ({"last": None, "group": None, "ahead": None}, SubscribeOptions({})),
    ],
)
def test_options_are_told_from_those_of_the_backlog(options: Any, wanted: SubscribeOptions) -> None:
    assert read_options(options) == wanted


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"last": 1}, "last must be True or False, not int"),
        ({"group": 7}, "group must be the name of a group, a str, not int"),
        ({"group": ""}, "a group's name has 1 to 255 printable characters, not ''"),
        ({"group": "a\nb"}, "a group's name has 1 to 255 printable characters"),
        ({"group": "x" * 256}, "a group's name has 1 to 255 printable characters"),
        ({"ahead": 0}, "ahead must be a whole number of at least 1, not 0"),
        ({"ahead": True}, "ahead must be a whole number of at least 1, not True"),
        ({"name": "a\nb"}, "name"),
        ({"last": True, "group": "workers"}, "exclude each other"),
    ],
)
def test_what_cannot_be_says_what_is_wrong(options: dict[str, Any], says: str) -> None:
    with pytest.raises((TypeError, ValueError), match=says):
        read_options(options)
