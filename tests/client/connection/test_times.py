"""The usual times keep the promises that are made of them."""

from __future__ import annotations

from pyro_events.client.connection.times import ConnectTimes


def test_the_usual_times_keep_what_is_promised() -> None:
    times = ConnectTimes()
    assert times.first < 2.0  # a constructor answers within two seconds
    assert 1.0 < times.quick < 2.0  # Linux repeats a SYN after one second
    assert times.quick < times.connect
    assert 0.0 < times.first_pause < times.last_pause < 1.0
