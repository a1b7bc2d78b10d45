"""Which proofs a service remembers: beside a model that forgets nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyro_events.wire.handshake.proof_memory import MAX_SKEW, ProofMemory

NOW = 1_700_000_000_000
SKEW = int(MAX_SKEW * 1000)


def test_a_proof_is_remembered_as_long_as_its_time_is_accepted() -> None:
    memory = ProofMemory()
    assert memory.add(NOW, "n", "alice", NOW)
    for now in (NOW, NOW + SKEW):
        assert memory.accepts(NOW, now) and not memory.add(NOW, "n", "alice", now)
        assert not memory.add(NOW, "n", "bob", now)
    assert memory.add(NOW + SKEW, "n", "alice", NOW + SKEW)  # of another time
    assert not memory.accepts(NOW, NOW + SKEW + 1) and not memory.accepts(NOW + SKEW + 2, NOW)


def test_a_clock_that_is_set_back_brings_nothing_back() -> None:
    memory = ProofMemory()
    memory.add(NOW, "n", "", NOW)
    memory.add(NOW + SKEW + 1, "m", "", NOW + SKEW + 1)
    assert memory.floor == NOW + 1
    assert not memory.accepts(NOW, NOW) and memory.accepts(NOW + 1, NOW)


def test_one_user_has_a_part_of_it_and_the_service_itself_all() -> None:
    memory = ProofMemory(most=5, most_of_one=2)
    assert [memory.add(NOW, f"a{number}", "alice", NOW) for number in range(3)] == [True, True, False]
    assert memory.add(NOW, "b", "bob", NOW)
    assert [memory.add(NOW, f"o{number}", "", NOW) for number in range(3)] == [True, True, False]
    assert not memory.add(NOW, "b2", "bob", NOW)
    later = NOW + SKEW + 1
    assert [memory.add(later, f"a{number}", "alice", later) for number in range(3)] == [True, True, False]


STEPS = st.tuples(
    st.integers(-2 * SKEW, 2 * SKEW),  # the clock goes on, or is set
    st.integers(-SKEW, SKEW),
    st.sampled_from("nm"),
    st.sampled_from(["", "alice", "bob"]),
)


@given(st.lists(STEPS, max_size=60))
def test_no_proof_is_accepted_twice(steps: list[tuple[int, int, str, str]]) -> None:
    memory, ever, now = ProofMemory(most=8, most_of_one=3), set(), NOW
    for step, ahead, nonce, user in steps:
        now += step
        # Often the same few times.
        time = (now + ahead) // SKEW * SKEW
        if memory.accepts(time, now) and memory.add(time, nonce, user, now):
            assert (time, nonce) not in ever
            ever.add((time, nonce))
        kept = memory._by_time
        assert len(kept) == len(memory._seen) <= 8
        users = [each[2] for each in kept]
        assert {user: users.count(user) for user in users} == dict(memory._of_user)
        assert users.count("alice") <= 3 and users.count("bob") <= 3
