"""Constructors that go on to the next class: by `super()`, never when called by the class's name."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pyro_events.client.constructors import cooperative
from pyro_events.wire.handshake.passphrase import sealed

made: list[tuple[str, Any]] = []
abandoned: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_made() -> None:
    made.clear()
    abandoned.clear()


class One:
    @cooperative(abandoned.append)
    def __init__(self, ident: Any = None) -> None:
        made.append(("one", ident))


class Two:
    @cooperative(abandoned.append)
    def __init__(self, ident: Any = None) -> None:
        made.append(("two", ident))


class Three:
    @cooperative(abandoned.append)
    def __init__(self, ident: Any = None, *, colour: str = "") -> None:
        made.append(("three", colour))


class Window:
    def __init__(self) -> None:
        made.append(("window", None))


class Named:
    def __init__(self, title: str) -> None:
        made.append(("named", title))


class Failing:
    def __init__(self) -> None:
        raise RuntimeError("no display")


def names() -> list[str]:
    return [name for name, _ in made]


def test_super_goes_through_all_classes() -> None:
    class All(One, Two, Window):
        def __init__(self) -> None:
            super().__init__()

    All()
    assert names() == ["one", "two", "window"]


def test_a_constructor_called_by_its_name_is_one_constructor() -> None:
    class Old(One, Two, Window):
        def __init__(self) -> None:
            Window.__init__(self)
            Two.__init__(self)
            One.__init__(self)

    Old()
    assert names() == ["window", "two", "one"]


def test_the_passphrase_is_wrapped_once_and_given_to_all() -> None:
    class Both(One, Two):
        pass

    Both("a secret")
    Both(ident="a secret")
    assert [type(ident) for _, ident in made] == [type(sealed("a secret"))] * 4
    assert "a secret" not in repr(made)


@pytest.mark.parametrize("bases", [(One, Three), (Three, One)])
def test_each_gets_the_arguments_that_it_takes(bases: tuple[type, ...]) -> None:
    type("Both", bases, {})(ident="a secret", colour="red")
    assert ("three", "red") in made and len(made) == 2


@pytest.mark.parametrize("bases", [(One, Three), (Three, One)])
def test_an_argument_that_none_takes_is_refused(bases: tuple[type, ...]) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'size'"):
        type("Both", bases, {})(colour="red", size=5)
    assert made == []


def test_what_needs_arguments_is_the_programs_to_call() -> None:
    class Both(One, Named):
        pass

    Both()
    assert names() == ["one"]


def test_a_thread_that_was_initialised_is_not_initialised_again() -> None:
    class Reader(One, threading.Thread):
        def __init__(self) -> None:
            threading.Thread.__init__(self, name="mine")
            super().__init__()

    assert Reader().name == "mine"

    class Other(One, threading.Thread):
        pass

    assert Other().name  # its __init__ has run


def test_what_was_made_is_abandoned_when_a_later_one_fails() -> None:
    class Shown(One, Failing):
        pass

    with pytest.raises(RuntimeError, match="no display"):
        Shown()
    assert names() == ["one"] and len(abandoned) == 1 and type(abandoned[0]) is Shown


def test_it_looks_like_the_constructor_that_it_is() -> None:
    assert One.__init__.__name__ == "__init__"
    assert One().__init__.__name__ == "__init__"  # type: ignore[misc]
