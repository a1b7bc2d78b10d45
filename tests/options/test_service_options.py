"""The options of a service: what is accepted, and what is refused and how clearly."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pyro_events import EventService, EventServiceStarter, NameServerStarter, constants
from pyro_events.options import BacklogOptions, Overflow, ServiceOptions, chosen_options

NO_COUNT: list[Any] = [0, -1, 1.0, "1", None, True, [1], float("nan")]
NO_SECONDS: list[Any] = [0, -1.0, 1e9, "1", None, True, float("nan"), float("inf")]
SECONDS = [field.name for field in dataclasses.fields(ServiceOptions) if field.type == "float"]


def test_the_defaults() -> None:
    options = ServiceOptions()
    assert options.backlog == BacklogOptions(100_000, 64 * constants.MIB, Overflow.BLOCK)
    assert options.total_backlog_bytes == constants.GIB
    assert options.max_message == 16 * constants.MIB
    assert (options.delivery_deadline, options.first_contact) == (10.0, 60.0)
    assert options.allow_callback == frozenset()


@pytest.mark.parametrize("options", [BacklogOptions(), ServiceOptions()])
def test_options_do_not_change(options: Any) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.backlog = 1


@pytest.mark.parametrize(
    "name",
    [
        "total_backlog_bytes",
        "max_message",
        "max_connections",
        "max_subscriptions",
        "max_programs",
        "max_retained",
        "max_retained_bytes",
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


@pytest.mark.parametrize("value", ["off", "OFF", "Auto"])
def test_the_unix_socket_is_off_in_capitals_too(value: str) -> None:
    """As in clients, which read the same variable."""
    assert ServiceOptions(unix_socket=value).unix_socket == value.lower()


@pytest.mark.parametrize("value", ["", "es.sock"])
def test_a_unix_socket_that_cannot_be(value: str) -> None:
    with pytest.raises(
        ValueError, match=f"unix_socket='{value}' must be an absolute path, 'auto' .*, or 'off'"
    ):
        ServiceOptions(unix_socket=value)
