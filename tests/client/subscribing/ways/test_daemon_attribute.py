"""The attribute `daemon` of a class that may have another base with an attribute of that name."""

from __future__ import annotations

import threading

import pytest

from pyro_events.client.subscribing.ways.daemon_attribute import DaemonAttribute


class Serving:
    """What a subscriber is here."""

    daemon = DaemonAttribute("What it is.")

    def getDaemon(self) -> str:
        return "ours"


class ServingThread(Serving, threading.Thread):
    pass


class Named:
    daemon = "not a property"


def test_it_is_ours_where_no_other_base_has_one() -> None:
    serving = Serving()
    assert serving.daemon == "ours"
    serving.__dict__["daemon"] = serving.__dict__["getDaemon"] = "the program's"
    assert serving.daemon == "ours"


def test_ours_cannot_be_replaced() -> None:
    with pytest.raises(AttributeError, match="keep a daemon of your own in another attribute"):
        Serving().daemon = "another"  # type: ignore


def test_in_a_thread_it_is_the_threads() -> None:
    thread = ServingThread()
    assert thread.daemon is threading.current_thread().daemon
    thread.daemon = True
    assert thread.daemon is True and thread.getDaemon() == "ours"


def test_a_base_in_front_has_its_own() -> None:
    class First(Named, Serving):
        pass

    assert First().daemon == "not a property"


def test_on_the_class_it_is_itself_and_says_what_it_is() -> None:
    assert isinstance(Serving.daemon, DaemonAttribute)
    assert Serving.daemon.__doc__ == "What it is."
