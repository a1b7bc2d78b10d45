"""What may be set for a background publisher, and why the rest may not."""

from __future__ import annotations

import pytest

from pyro_events.client.background.options import BackgroundOptions
from pyro_events.options import Overflow


@pytest.mark.parametrize("policy", ["drop-oldest", "drop-newest", "latest"])
def test_a_policy_is_given_by_its_name_or_as_itself(policy: str) -> None:
    named = BackgroundOptions(overflow=policy)  # type: ignore[arg-type]
    assert named == BackgroundOptions(overflow=Overflow(policy))
    assert (named.limit, named.limit_bytes) == (10_000, 64 * 1024 * 1024)


@pytest.mark.parametrize(
    ("policy", "why"),
    [("block", "its publish never waits; publisher.pipeline"), (Overflow.DISCONNECT, "no subscriber that")],
)
def test_a_policy_that_makes_no_sense_here_is_refused_with_the_reason(policy: object, why: str) -> None:
    with pytest.raises(ValueError, match=f"not possible for a background publisher: .*{why}"):
        BackgroundOptions(overflow=policy)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options", [{"limit": 0}, {"limit": "1"}, {"limit": True}, {"limit_bytes": -1}, {"overflow": "none"}]
)
def test_what_cannot_be_is_a_value_error(options: dict[str, object]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=f"^{name} must be"):
        BackgroundOptions(**options)  # type: ignore[arg-type]
