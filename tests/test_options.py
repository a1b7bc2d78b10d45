"""Options: what is accepted, what is refused and how clearly, and that nothing can be widened."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_events import EventService, EventServiceStarter, NameServerStarter, constants
from pyro_events.options import BacklogOptions, Overflow, ServiceOptions, chosen_options

NAMES = ["block", "drop-oldest", "drop-newest", "latest", "disconnect"]
NO_COUNT: list[Any] = [0, -1, 1.0, "1", None, True, [1], float("nan")]
NO_SECONDS: list[Any] = [0, -1.0, 1e9, "1", None, True, float("nan"), float("inf")]
SECONDS = [field.name for field in dataclasses.fields(ServiceOptions) if field.type == "float"]


def nested(depth: int) -> list[Any]:
    """Deeper than `repr` can follow."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_is_named(name: str) -> None:
    policy = Overflow.parse(name)
    assert policy.value == name
    assert Overflow.parse(policy) is policy


def test_the_policies_are_five() -> None:
    assert [policy.value for policy in Overflow] == NAMES


@pytest.mark.parametrize(
    "value", ["", "BLOCK", "drop_oldest", None, 1, ["block"], {"block": 1}, b"block", nested(2000)]
)
def test_an_argument_that_is_not_a_policy(value: Any) -> None:
    with pytest.raises(ValueError, match="overflow must be one of block, drop-oldest, .*, not "):
        Overflow.parse(value)


def test_the_defaults() -> None:
    options = ServiceOptions()
    assert options.backlog == BacklogOptions(100_000, 64 * constants.MIB, Overflow.BLOCK)
    assert options.total_backlog_bytes == constants.GIB
    assert options.max_message == 16 * constants.MIB
    assert (options.delivery_deadline, options.first_contact) == (10.0, 60.0)
    assert options.allow_callback == frozenset()


def test_a_policy_may_be_given_by_its_name() -> None:
    given_by_name: Any = "latest"
    assert BacklogOptions(overflow=given_by_name).overflow is Overflow.LATEST


@pytest.mark.parametrize("options", [BacklogOptions(), ServiceOptions()])
def test_options_do_not_change(options: Any) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.backlog = 1


@pytest.mark.parametrize("name", ["backlog", "backlog_bytes"])
@pytest.mark.parametrize("value", [*NO_COUNT, nested(2000)])
def test_a_bound_is_a_whole_number(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be a whole number of at least 1, not "):
        BacklogOptions(**{name: value})


@pytest.mark.parametrize(
    "name",
    [
        "total_backlog_bytes",
        "max_message",
        "max_connections",
        "max_subscriptions",
        "max_programs",
        "total_subscription_bytes",
        "host_subscription_bytes",
    ],
)
@pytest.mark.parametrize("value", NO_COUNT)
def test_a_size_of_the_service_is_a_whole_number(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be a whole number of at least 1, not "):
        ServiceOptions(**{name: value})
    least: dict[str, Any] = {name: 1}
    assert getattr(ServiceOptions(**least), name) == 1


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize("value", NO_SECONDS)
def test_a_time_is_a_positive_number(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be a positive number of seconds, not "):
        ServiceOptions(**{name: value})
    least: dict[str, Any] = {name: 1}
    assert getattr(ServiceOptions(**least), name) == 1


def test_every_time_is_checked() -> None:
    assert len(SECONDS) == 9


@given(
    wanted=st.fixed_dictionaries(
        {},
        optional={
            "backlog": st.integers(-5, 15),
            "backlog_bytes": st.integers(-50, 150),
            "overflow": st.sampled_from([*NAMES, *Overflow, "unknown"]),
        },
    )
)
def test_a_bound_can_only_be_narrowed(wanted: dict[str, Any]) -> None:
    widest = BacklogOptions(10, 100, Overflow.DROP_NEWEST)
    acceptable = (
        1 <= wanted.get("backlog", 1) <= 10
        and 1 <= wanted.get("backlog_bytes", 1) <= 100
        and wanted.get("overflow") != "unknown"
    )
    if not acceptable:
        with pytest.raises(ValueError, match=r"must be|is more than the service allows \(10"):
            widest.narrowed(wanted)
        return
    narrowed = widest.narrowed(wanted)
    assert narrowed.backlog == wanted.get("backlog", 10)
    assert narrowed.backlog_bytes == wanted.get("backlog_bytes", 100)
    assert narrowed.overflow is Overflow.parse(wanted.get("overflow", Overflow.DROP_NEWEST))


@pytest.mark.parametrize("name", ["", "Backlog", "subscriber", 7, None, "x" * 10_000])
def test_an_unknown_option_is_named_with_those_that_there_are(name: Any) -> None:
    with pytest.raises(
        ValueError, match="^unknown option .*; there are backlog, backlog_bytes, overflow$"
    ) as caught:
        BacklogOptions().narrowed({name: 1})
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize("value", NO_COUNT)
def test_a_wanted_bound_is_a_whole_number(value: Any) -> None:
    with pytest.raises(ValueError, match="^backlog must be a whole number"):
        BacklogOptions().narrowed({"backlog": value})


def test_a_wider_bound_says_what_can_be_done() -> None:
    with pytest.raises(ValueError, match="^backlog=100001 is more than the service allows .* ask for less"):
        BacklogOptions().narrowed({"backlog": 100_001})


@pytest.mark.parametrize("name", ["allow_callback", "allow_stock"])
def test_addresses(name: str) -> None:
    given = ServiceOptions(**{name: {"192.0.2.1", "2001:DB8:0::1"}})  # type: ignore[arg-type]
    assert getattr(given, name) == frozenset({"192.0.2.1", "2001:db8::1"})
    for bad in ("192.0.2.1", b"x", 5, ["localhost"], [None]):
        with pytest.raises(ValueError, match=name):
            ServiceOptions(**{name: bad})  # type: ignore[arg-type]


def test_a_message_is_at_most_256_mib() -> None:
    assert ServiceOptions(max_message=256 * constants.MIB).max_message == 256 * constants.MIB
    with pytest.raises(ValueError, match="at most 268435456, not 268435457"):
        ServiceOptions(max_message=256 * constants.MIB + 1)


@pytest.mark.parametrize("backlog", ["5", 1.5, None, 1000])
def test_a_backlog_that_is_not_options(backlog: Any) -> None:
    with pytest.raises(TypeError, match="backlog must be BacklogOptions"):
        ServiceOptions(backlog=backlog)


@pytest.mark.parametrize("kind", [EventServiceStarter, NameServerStarter, EventService])
def test_options_that_are_none(kind: Any) -> None:
    with pytest.raises(TypeError, match="options must be ServiceOptions or None, not int"):
        kind(options=5)


def test_options_are_chosen_or_the_usual_ones() -> None:
    mine = ServiceOptions(drain=1.0)
    assert chosen_options(mine) is mine
    assert chosen_options(None) == ServiceOptions()
    with pytest.raises(TypeError, match="options must be ServiceOptions or None, not dict"):
        chosen_options({})
