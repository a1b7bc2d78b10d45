"""Exceptions as dicts, and back: as they were, without calling the constructor of a program's class."""

from __future__ import annotations

import json
import sqlite3
import struct
import sys
from typing import Any

import Pyro5.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising_handler import needs_signals, raising

from pyro_events.codec.classes.exception_state import (
    REMOTE,
    describe_exception,
    describe_remote,
    dotted,
    exception_functions,
    exception_type,
    rebuild_exception,
    remote_error,
)
from pyro_events.errors import PayloadError, RemoteError, ServiceNotFoundError, UnsupportedTypeError
from tests import strange_classes as strange
from tests.strange_classes import Decoding, state_of


def brought(error: BaseException) -> Any:
    """`error` taken apart and made again, as every program does it."""
    state = describe_exception(error)
    assert state["__exception__"] is True
    with Decoding():
        back = rebuild_exception(type(error), state)
    assert type(back) is type(error)
    return back


def registered(error: BaseException) -> Any:
    """The same with the functions of a class that a program registers."""
    functions = exception_functions(type(error))
    with Decoding():
        return functions.from_state(functions.to_state(error))


# Names


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("builtins.ValueError", ValueError),
        ("ValueError", ValueError),
        ("Pyro5.errors.NamingError", Pyro5.errors.NamingError),
        ("pyro_events.errors.ServiceNotFoundError", ServiceNotFoundError),
        ("struct.error", struct.error),
        ("sqlite3.OperationalError", sqlite3.OperationalError),
        (REMOTE, RemoteError),
        ("sqlite3.connect", None),
        ("builtins.eval", None),
        ("builtins.object", None),
        ("Pyro5.errors.config", None),
        ("lab.DeviceError", None),
        ("", None),
    ],
)
def test_which_exceptions_every_program_knows(name: str, cls: type | None) -> None:
    assert exception_type(name) is cls


def test_the_name_of_a_class() -> None:
    assert dotted(strange.Temperature) == f"{strange.__name__}.Temperature"


# Python's and Pyro5's


@given(
    st.sampled_from([ValueError, KeyError, LookupError, Pyro5.errors.NamingError, struct.error]),
    st.lists(st.integers() | st.text(max_size=3), max_size=4),
    st.dictionaries(st.sampled_from("abc"), st.integers(), max_size=2),
)
def test_arguments_and_attributes_arrive(cls: Any, args: list[Any], attributes: dict[str, int]) -> None:
    error = cls(*args)
    vars(error).update(attributes)
    back = brought(error)
    assert (back.args, vars(back)) == (error.args, vars(error))
    assert str(back) == str(error)


@pytest.mark.parametrize(
    "error",
    [
        OSError(2, "gone", "a", None, "b"),
        FileNotFoundError(2, "gone", "a"),
        SyntaxError("bad", ("file", 3, 5, "x = =", 3, 6)),
        ImportError("no", name="m", path="/m.py"),
        NameError("no", name="x"),
        AttributeError("no", name="x", obj=object()),
        StopIteration((1, 2)),
        SystemExit(3),
        KeyboardInterrupt(),
        UnicodeDecodeError("utf-8", b"a\xff", 1, 2, "bad"),
        UnicodeEncodeError("ascii", "aä", 1, 2, "bad"),
        UnicodeTranslateError("aä", 1, 2, "bad"),
        UnicodeError("of no position"),
        BlockingIOError(11, "wait", 5),
        sqlite3.OperationalError("locked"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_python_keeps_beside_the_arguments(error: BaseException) -> None:
    error.__notes__ = ["noted"]  # type: ignore[attr-defined]
    error.__cause__ = KeyError("cause")
    back = brought(error)
    for name in (
        *("errno", "filename", "filename2", "lineno", "text", "end_offset", "name", "path", "value", "code"),
        *("object", "start", "end", "reason", "characters_written", "args", "__notes__"),
    ):
        assert getattr(back, name, None) == getattr(error, name, None), name
    assert str(back) == str(error)
    assert back.__cause__ is None and back.__traceback__ is None
    assert getattr(back, "obj", None) is None


def test_what_follows_from_the_arguments_is_not_written() -> None:
    assert "fields" not in describe_exception(FileNotFoundError(2, "gone"))
    assert describe_exception(FileNotFoundError(2, "gone", "a"))["fields"] == {"filename": "a"}
    assert describe_exception(StopIteration(3)).keys() == {"__exception__", "args", "attributes"}


def test_an_exception_that_was_changed_afterwards() -> None:
    error = OSError()
    error.errno, error.args = 2, (2, "x")
    back = brought(error)
    assert (back.errno, back.args) == (2, (2, "x"))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 has no groups")
def test_groups() -> None:
    group = ExceptionGroup("several", [ValueError(1), KeyError("k")])  # noqa: F821
    back = brought(group)
    assert back.exceptions == group.exceptions and back.message == "several"


def test_what_pyro5_sends_has_no_fields() -> None:
    back = rebuild_exception(ValueError, {"__class__": "ValueError", "args": ["x"], "attributes": {"a": 1}})
    assert (repr(back), vars(back)) == ("ValueError('x')", {"a": 1})
    assert repr(rebuild_exception(KeyError, {"args": ("k",)})) == "KeyError('k')"


# Classes of a program


@pytest.mark.parametrize(
    "name", ["exception", "unforwarded", "missing file", "slotted exception", "data exception"]
)
def test_no_constructor_of_a_program_is_called(name: str) -> None:
    cls, make = strange.MAKERS[name]
    error = make([5])
    for back in (brought(error), registered(error)):
        assert type(back) is cls
        assert state_of(back) == state_of(error)
        assert str(back) == str(error)


def test_json_tells_where_it_failed() -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads('{"a": }')
    back = registered(caught.value)
    assert (str(back), back.pos, back.lineno, back.doc) == (str(caught.value), 6, 1, '{"a": }')


def test_arguments_that_the_base_class_does_not_take() -> None:
    class Undecodable(UnicodeDecodeError):
        def __init__(self, number: int) -> None:
            super().__init__("utf-8", b"\xff", 0, 1, "bad")
            self.args = (number,)

    back = brought(Undecodable(5))
    assert (back.args, back.object, back.end, back.reason) == ((5,), b"\xff", 1, "bad")


def test_an_exception_with_states_of_its_own() -> None:
    class Stateful(Exception):
        def __getstate__(self) -> Any:
            return [1, 2]

        def __setstate__(self, state: Any) -> None:
            self.got = state

    class OnlyGet(Exception):
        def __getstate__(self) -> Any:
            return {"kept": 5}

    class OnlySet(Exception):
        def __setstate__(self, state: Any) -> None:
            self.got = state

    class Nothing(Stateful):
        def __getstate__(self) -> None:
            return None

    back = registered(Stateful("x"))
    assert (back.args, back.got) == (("x",), [1, 2])
    assert vars(registered(OnlyGet("y"))) == {"kept": 5}
    error = OnlySet("z")
    error.a = 1  # type: ignore[attr-defined]
    assert registered(error).got == {"a": 1}
    assert vars(registered(Nothing())) == {}


# What is refused when it is written


def test_names_that_python_gives_a_meaning_are_refused() -> None:
    error = ValueError()
    error.__dict__["__own__"] = 1
    with pytest.raises(UnsupportedTypeError, match="its attribute '__own__' has a name that Python reserves"):
        describe_exception(error)


def test_an_exception_that_cannot_be_made_from_its_arguments_is_refused() -> None:
    error = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")
    error.args = (1,)
    with pytest.raises(UnsupportedTypeError, match="it cannot be made from its args again: function takes"):
        describe_exception(error)


def test_a_position_outside_of_its_object_is_refused() -> None:
    error = UnicodeDecodeError("x", b"ab", 0, 1, "y")
    error.end = 9
    with pytest.raises(UnsupportedTypeError, match="made again: UnicodeDecodeError with a position outside"):
        describe_exception(error)


# What strangers send


@pytest.mark.parametrize(
    ("cls", "state", "reason"),
    [
        (ValueError, {"args": 5}, "not the state of an exception: ValueError"),
        (ValueError, {"args": [], "attributes": []}, "not the state of an exception: ValueError"),
        (ValueError, {"args": [], "attributes": {"__class__": 5}}, "cannot be named '__class__'"),
        (ValueError, {"args": [], "attributes": {5: 5}}, "cannot be named 5"),
        (UnicodeDecodeError, {"args": ["x", b"", -(2**40), 1 - 2**40, "y"]}, "with a position outside"),
        (UnicodeDecodeError, {"args": ["x", b"ab", 0, 5, "y"]}, "with a position outside"),
        (
            UnicodeDecodeError,
            {"args": ["x", b"a", 0, 1, "y"], "fields": {"start": -(2**40)}},
            "with a position outside",
        ),
        (
            UnicodeEncodeError,
            {"args": ["x", "a", 0, 1, "y"], "fields": {"object": 5}},
            "with a position outside",
        ),
        (OSError, {"args": [], "fields": {"__dict__": {}}}, "OSError has no '__dict__'"),
        (OSError, {"args": [], "fields": {"with_traceback": 1}}, "OSError has no 'with_traceback'"),
        (OSError, {"args": [], "fields": []}, "not the state of an exception: OSError"),
        (StopIteration, {"args": [], "fields": {"args": [1]}}, "StopIteration has no 'args'"),
    ],
)
def test_a_state_that_would_do_harm(cls: type[BaseException], state: Any, reason: str) -> None:
    with pytest.raises(PayloadError, match=reason):
        rebuild_exception(cls, state)


@pytest.mark.parametrize(
    ("cls", "state", "error"),
    [
        (UnicodeDecodeError, {"args": [1]}, TypeError),
        (ValueError, {}, KeyError),
        (UnicodeDecodeError, {"args": ["x", b"a", 0, 1, "y"], "fields": {"start": "x"}}, TypeError),
    ],
)
def test_invalid_arguments_raise_what_python_raises(cls: Any, state: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        rebuild_exception(cls, state)


def test_attributes_never_reach_what_python_keeps_elsewhere() -> None:
    state = {"args": ["x", b"a", 0, 1, "y"], "attributes": {"object": 5, "start": -(2**40)}}
    back: Any = rebuild_exception(UnicodeDecodeError, state)
    assert (back.object, back.start) == (b"a", 0)
    assert "position 0" in str(back)  # which can end the interpreter, with other values


# Classes that nobody registered


class Own(Exception):
    def __str__(self) -> str:
        return "the device is on fire"


def test_an_exception_of_an_unknown_class_arrives_as_a_stand_in() -> None:
    error = Own(object())
    error.__notes__ = ["noted"]  # type: ignore[attr-defined]
    back: Any = rebuild_exception(RemoteError, describe_remote(error))
    assert (type(back), back.type_name, back.text) == (RemoteError, dotted(Own), "the device is on fire")
    assert back.__notes__ == ["noted"]


@pytest.mark.parametrize("notes", [5, ["noted", 5], ("noted",)])
def test_notes_that_are_no_texts_are_left_out(notes: Any) -> None:
    error = Own()
    error.__notes__ = notes  # type: ignore[attr-defined]
    assert describe_remote(error)["attributes"] == {}


def test_a_text_that_cannot_be_made() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    assert describe_remote(Mute())["args"][1] == "its text could not be made: ZeroDivisionError"


@pytest.mark.parametrize(
    ("args", "text"),
    [([], ""), (["x"], "x"), ((1, 2), "(1, 2)"), ([10**5000], ""), ([1, 10**5000], ""), (None, "")],
    ids=lambda value: str(type(value)),
)
def test_an_exception_that_only_its_publisher_has_registered(args: Any, text: str) -> None:
    back = remote_error("lab.DeviceError", {"__exception__": True, "args": args, "attributes": {}})
    assert back is not None and (back.type_name, back.text) == ("lab.DeviceError", text)


@pytest.mark.parametrize("state", [None, [], {}, {"__exception__": 1}, {"args": []}])
def test_nothing_stands_in_for_a_state_of_something_else(state: Any) -> None:
    assert remote_error("lab.DeviceError", state) is None


# Signals


@needs_signals
@pytest.mark.parametrize("kind", [ValueError, TypeError, AttributeError])
def test_what_a_signals_handler_raises_comes_through(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    enough = kind("enough")
    module = sys.modules[describe_exception.__module__]
    error = OSError(2, "gone")
    error.filename = "x"
    with raising(enough) as interrupt:
        for name in ("_check_unicode", "_set_fields"):
            with monkeypatch.context() as patch:
                patch.setattr(module, name, interrupt)
                with pytest.raises(kind) as caught:
                    describe_exception(error)
                assert caught.value is enough

        class Shouting(Exception):
            __str__ = interrupt

        with pytest.raises(kind) as caught:
            describe_remote(Shouting())
        assert caught.value is enough
