"""What the rights of a caller do not allow is refused, with its name; without permissions nothing is."""

from __future__ import annotations

import Pyro5.errors
import pytest

from pyro_events.broker.matching.rights import Rights
from pyro_events.server.objects import Caller
from pyro_events.server.permissions.checks import check_group, check_names, check_publish

RIGHTS = Rights(("LAB.*",), ("HALL.*",), frozenset({"workers"}))
ALICE = Caller("192.0.2.1", 4, user="alice", rights=RIGHTS)
NOBODY = Caller("192.0.2.1", 4, rights=Rights())
ANYONE = Caller("192.0.2.1", 4)


def test_what_is_allowed_passes() -> None:
    check_publish(ALICE, ["LAB.A", "lab.b"])
    check_names(ALICE, ["hall.a"])
    check_group(ALICE, "workers")
    check_group(NOBODY, "")


def test_without_permissions_everything_passes() -> None:
    check_publish(ANYONE, ["X"])
    check_names(ANYONE, ["X"])
    check_group(ANYONE, "X")


def test_what_is_not_allowed_is_named() -> None:
    denied = Pyro5.errors.SecurityError
    with pytest.raises(denied, match="user 'alice' may not publish the subject 'hall.x'"):
        check_publish(ALICE, ["LAB.A", "hall.x"])
    with pytest.raises(denied, match="user 'alice' may not subscribe to the subject 'LAB.A'"):
        check_names(ALICE, ["HALL.A", "LAB.A"])
    with pytest.raises(denied, match="user 'alice' may not join the group 'Others'"):
        check_group(ALICE, "Others")
    with pytest.raises(denied, match="a client that names no user .user=. may not publish the subject 'X'"):
        check_publish(NOBODY, ["X"])
