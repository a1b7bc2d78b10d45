"""Which subscribers may block publishers, and for how long not; the time is the test's own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pyro_events.broker.accounting import TotalBytes
from pyro_events.broker.backlog import Backlog
from pyro_events.broker.matching.rights import Rights
from pyro_events.options import BacklogOptions, Overflow
from pyro_events.server.limits.block_rights import BlockRights

OFFENDER = ("10.0.0.1", 5000)


def backlog(policy: str = "block") -> Backlog:
    return Backlog("PYRO:s@h:1", BacklogOptions(overflow=Overflow(policy)), TotalBytes())


@pytest.mark.parametrize(
    ("address", "may"),
    [
        (OFFENDER, False),  # whatever its object is called now
        (("10.0.0.1", 5001), False),  # a new daemon, which may be anybody's
        (("10.0.0.2", 5000), True),
    ],
)
def test_subscribers_from_the_host_of_one_that_blocked_publishers_may_not_block_for_a_while(
    address: tuple[str, int], may: bool
) -> None:
    rights, comes = BlockRights(60.0), backlog()
    rights.suspend(OFFENDER, {}, 100.0)
    rights.check(159.0)
    rights.apply(comes, address, 159.0)
    assert (comes.overflow is Overflow.BLOCK) == may
    rights.check(160.5)
    assert comes.overflow is Overflow.BLOCK
    late = backlog()
    rights.apply(late, address, 161.0)
    assert late.overflow is Overflow.BLOCK


def test_another_user_at_the_same_host_keeps_the_right() -> None:
    rights = BlockRights(60.0)
    rights.suspend(OFFENDER, {}, 100.0, "alice")
    for user, may in (("alice", False), ("bob", True), ("", True)):
        comes = backlog()
        note = rights.apply(comes, ("10.0.0.1", 5001), 101.0, user)
        assert (comes.overflow is Overflow.BLOCK, note == "") == (may, may)
    rights.check(161.0)
    again = backlog()
    assert rights.apply(again, OFFENDER, 161.0, "alice") == "" and again.overflow is Overflow.BLOCK


def test_of_those_already_subscribed_only_the_same_daemon_loses_the_right() -> None:
    rights, sibling, other = BlockRights(60.0), backlog(), backlog()
    deliveries: Any = {
        sibling: SimpleNamespace(address=OFFENDER),
        other: SimpleNamespace(address=("10.0.0.1", 5001)),
    }
    rights.suspend(OFFENDER, deliveries, 100.0)
    assert (sibling.overflow, other.overflow) == (Overflow.DROP_OLDEST, Overflow.BLOCK)


def test_the_options_that_it_asks_for_meanwhile_hold_afterwards() -> None:
    rights, comes = BlockRights(60.0), backlog("latest")
    rights.suspend(OFFENDER, {}, 100.0)
    rights.apply(comes, OFFENDER, 101.0)
    assert comes.overflow is Overflow.LATEST
    comes.configure(BacklogOptions(overflow=Overflow.BLOCK))
    assert comes.overflow is Overflow.DROP_OLDEST
    rights.check(161.0)
    assert comes.overflow is Overflow.BLOCK


def test_a_user_who_may_not_block_at_all_finds_that_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    rights, comes = BlockRights(60.0), backlog()
    comes.rights = Rights(subscribe=("*",))
    assert "for which its user has no right" in rights.apply(comes, OFFENDER, 100.0)
    assert comes.overflow is Overflow.DROP_OLDEST
    assert "PYRO:s@h:1 has drop-oldest in place of block, for which its user has no right" in caplog.text


def test_one_that_is_gone_is_forgotten() -> None:
    rights, comes = BlockRights(60.0), backlog()
    rights.suspend(OFFENDER, {}, 100.0)
    rights.apply(comes, OFFENDER, 101.0)
    rights.remove(comes)
    rights.check(161.0)
    assert comes.overflow is Overflow.DROP_OLDEST  # it is nobody's any more


def test_one_whose_user_has_no_right_never_blocks_and_is_told_so() -> None:
    block_rights, comes = BlockRights(60.0), backlog()
    comes.rights = Rights()
    assert "its user has no right" in block_rights.apply(comes, OFFENDER, 100.0)
    assert comes.overflow is Overflow.DROP_OLDEST
    latest = backlog("latest")
    latest.rights = Rights()
    assert block_rights.apply(latest, OFFENDER, 100.0) == "" and latest.overflow is Overflow.LATEST
    block_rights.suspend(OFFENDER, {comes: SimpleNamespace(address=OFFENDER)}, 100.0)  # type: ignore[dict-item]
    comes.rights = Rights(block=True)
    block_rights.permit(comes)
    assert comes.overflow is Overflow.DROP_OLDEST  # the suspension goes on
    block_rights.check(161.0)
    assert comes.overflow is Overflow.BLOCK
    comes.rights = Rights()
    block_rights.permit(comes)
    assert comes.overflow is Overflow.DROP_OLDEST
