"""How long everything takes that has to do with reconnecting."""

from __future__ import annotations

from pyro_events.client.reconnect.times import ReconnectTimes


def test_delays_grow_and_are_bounded() -> None:
    times = ReconnectTimes()
    assert 0.05 <= times.backoff(0) <= 0.1
    assert 0.1 <= times.backoff(1) <= 0.2
    for failures in (3, 10, 5000):
        assert times.most_delay / 2 <= times.backoff(failures) <= times.most_delay


def test_an_error_that_waiting_will_hardly_fix_is_retried_much_more_rarely() -> None:
    times = ReconnectTimes(spread=lambda: 1.0)
    assert times.backoff(9, lasting=True) == times.most_delay * times.lasting


def test_patience_grows_and_is_bounded() -> None:
    times = ReconnectTimes()
    assert [times.patience(questions) for questions in range(5)] == [1.5, 1.5, 3.0, 6.0, 12.0]
    assert times.patience(5000) == times.most_arrival


def test_on_a_connection_of_its_own_a_heartbeat_is_waited_for() -> None:
    times = ReconnectTimes(heartbeat=3.0, answer=2.0)
    assert (times.silence(own=False), times.silence(own=True)) == (3.0, 5.0)
