"""Who comes first of those that may have room."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyro_events.broker.accounting import TotalBytes, queued_event
from pyro_events.broker.backlog import Backlog
from pyro_events.broker.groups.offers import Member, Offers
from pyro_events.options import BacklogOptions


def member_of(turn: int, load: int = 0) -> Member:
    backlog = Backlog(f"s{turn}", BacklogOptions(), TotalBytes())
    for _ in range(load):
        backlog.give(queued_event("a", 1.0, b""), 0)
    return Member(backlog, 0, turn)


def anybody(member: Member) -> bool:
    return True


steps = st.lists(
    st.tuples(st.sampled_from(["put", "withdraw", "give", "take", "best"]), st.integers(0, 4)), max_size=80
)


@given(steps=steps, busy=st.sets(st.integers(0, 4)))
def test_the_best_is_that_of_a_list(steps: list[tuple[str, int]], busy: set[int]) -> None:
    offers = Offers()
    members = [member_of(number) for number in range(5)]
    turn = 10
    offered: set[Member] = set()

    def able(member: Member) -> bool:
        return members.index(member) not in busy

    for step, number in steps:
        member = members[number]
        if step == "put":
            offers.put(member)
            offered.add(member)
        elif step == "withdraw":
            offers.withdraw(member)
            offered.discard(member)
        elif step == "give":
            turn += 1
            member.turn = turn
            member.backlog.give(queued_event("a", 1.0, b""), 0)
            offers.put(member)
            offered.add(member)
        elif step == "take" and len(member.backlog):
            member.backlog.acknowledge(member.backlog.take(1, 1))
            offers.put(member)
            offered.add(member)
        elif step == "best":
            free = [each for each in offered if able(each)]
            expected = min(free, key=lambda each: (each.load, each.turn), default=None)
            assert offers.best(able) is expected
            assert {each for each in members if each.offer} <= offered
            offered = {each for each in members if each.offer}


def test_what_is_outdated_does_not_gather() -> None:
    offers = Offers()
    first, second = member_of(1), member_of(2, load=1)
    for _ in range(1000):
        offers.put(second)
    offers.put(first)
    assert len(offers._order) < 30
    assert offers.best(anybody) is first


def test_one_that_is_not_able_to_is_asked_again_only_when_it_offers_again() -> None:
    offers = Offers()
    member = member_of(1)
    asked: list[Member] = []

    def refuse(member: Member) -> bool:
        asked.append(member)
        return False

    offers.put(member)
    assert offers.best(refuse) is offers.best(refuse) is None
    assert asked == [member]
    offers.put(member)
    assert offers.best(anybody) is member
