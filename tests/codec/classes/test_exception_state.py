"""Exceptions arrive as they were, and never as anything else."""

from __future__ import annotations

import json
import sqlite3
import struct
from typing import Any

import msgpack
import Pyro5.errors
import pytest

from pyro_events.codec import values as M
from pyro_events.codec.classes.registry import register_class
from pyro_events.codec.message import decode, encode
from pyro_events.errors import PayloadError, RemoteError, ServiceNotFoundError, UnsupportedTypeError
from tests import strange_classes as strange
from tests.strange_classes import Decoding

pytestmark = pytest.mark.usefixtures("strange_tables")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x", 5),
        KeyError("k"),
        OSError(2, "No such file"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        StopIteration(3),
        KeyboardInterrupt(),
        Pyro5.errors.NamingError("no name server"),
        ServiceNotFoundError("no service"),
        struct.error("short"),
        sqlite3.OperationalError("locked"),
    ],
    ids=repr,
)
def test_exceptions(error: BaseException) -> None:
    error.__dict__.update(detail=(1, 2), __notes__=["noted"])
    back = decode(encode([error]))[0]
    assert type(back) is type(error)
    assert back.args == error.args
    assert vars(back) == vars(error)


def rebuilt(value: Any) -> Any:
    payload = encode([value])
    with Decoding():
        (back,) = decode(payload)
    assert type(back) is type(value)
    return back


def test_exceptions_with_constructors_of_their_own() -> None:
    register_class(json.JSONDecodeError)
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads('{"a": }')
    back = rebuilt(caught.value)
    assert (str(back), back.pos, back.lineno, back.doc) == (str(caught.value), 6, 1, '{"a": }')
    assert vars(rebuilt(strange.Temperature("T1", 5))) == {"device": "T1", "code": 5}
    assert rebuilt(strange.MissingFile("/x", 1)).filename == "/x"
    assert str(rebuilt(strange.MissingFile("/x", 1))) == "[Errno 2] gone: '/x'"


@pytest.mark.parametrize(
    "error",
    [
        OSError(2, "gone", "a", None, "b"),
        FileNotFoundError(2, "gone", "a"),
        SyntaxError("bad", ("file", 3, 5, "x = =", 3, 6)),
        ImportError("no", name="m", path="/m.py"),
        NameError("no", name="x"),
        StopIteration((1, 2)),
        SystemExit(3),
        UnicodeDecodeError("utf-8", b"a\xff", 1, 2, "bad"),
        UnicodeEncodeError("ascii", "aä", 1, 2, "bad"),
        BlockingIOError(11, "wait", 5),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_python_keeps_beside_the_arguments_of_an_exception(error: BaseException) -> None:
    error.__notes__ = ["noted"]  # type: ignore[attr-defined]
    error.__cause__ = KeyError("cause")
    back = rebuilt(error)
    names = (
        "errno",
        "filename",
        "filename2",
        "lineno",
        "text",
        "end_offset",
        "name",
        "path",
        "value",
        "code",
    )
    for name in (*names, "object", "start", "end", "reason", "characters_written", "args", "__notes__"):
        assert getattr(back, name, None) == getattr(error, name, None), name
    assert str(back) == str(error)
    assert back.__cause__ is None and back.__traceback__ is None


def test_an_exception_that_was_changed_afterwards() -> None:
    error = OSError()
    error.errno, error.args = 2, (2, "x")
    back = rebuilt(error)
    assert (back.errno, back.args) == (2, (2, "x"))


def test_an_exception_of_a_class_that_is_not_registered() -> None:
    class Own(Exception):
        def __str__(self) -> str:
            return "the device is on fire"

    error = Own(object())
    error.__notes__ = ["noted"]  # type: ignore[attr-defined]
    back = decode(encode({"e": [error]}))["e"][0]
    assert type(back) is RemoteError
    assert (back.type_name, back.text) == (f"{__name__}.{Own.__qualname__}", "the device is on fire")
    assert (str(back), back.__notes__) == (f"{back.type_name}: {back.text}", ["noted"])
    assert rebuilt(back).args == back.args

    class Mute(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    assert decode(encode(Mute())).text == "its text could not be made: ZeroDivisionError"


def test_an_exception_that_only_its_publisher_has_registered() -> None:
    for args, text in (([], ""), (["x"], "x"), ([1, 2], "(1, 2)"), ([10**5000], ""), (None, "")):
        state = {"__exception__": True, "args": encode_args(args), "attributes": {}}
        back = decode(msgpack.packb([M.OBJECT, "lab.DeviceError", state]))
        assert (type(back), back.type_name, back.text) == (RemoteError, "lab.DeviceError", text)


def encode_args(args: Any) -> Any:
    big = [M.INT, (10**5000).to_bytes(3000, "little")]
    return args if args is None else [big if arg == 10**5000 else arg for arg in args]


def test_groups() -> None:
    group = pytest.importorskip("builtins").__dict__.get("ExceptionGroup")
    if group is None:
        pytest.skip("Python 3.10 has none")
    back = rebuilt(group("several", [ValueError(1), KeyError("k")]))
    assert [type(each) for each in back.exceptions] == [ValueError, KeyError]


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("builtins.UnicodeDecodeError", {"args": ["x", b"", -(2**40), 1 - 2**40, "y"]}),
        ("builtins.UnicodeDecodeError", {"args": ["x", b"ab", 0, 5, "y"]}),
        ("builtins.UnicodeDecodeError", {"args": ["x", b"a", 0, 1, "y"], "fields": {"start": -(2**40)}}),
        ("builtins.UnicodeEncodeError", {"args": ["x", "a", 0, 1, "y"], "fields": {"object": 5}}),
        ("builtins.OSError", {"args": [], "fields": {"__dict__": {}}}),
        ("builtins.OSError", {"args": [], "fields": {"with_traceback": 1}}),
        ("builtins.OSError", {"args": [], "fields": []}),
        ("builtins.StopIteration", {"args": [], "fields": {"args": [1]}}),
    ],
)
def test_fields_that_would_do_harm(name: str, state: Any) -> None:
    with pytest.raises(PayloadError):
        decode(msgpack.packb([M.OBJECT, name, state]))


def test_attributes_never_reach_what_python_keeps_elsewhere() -> None:
    state = {"args": ["x", b"a", 0, 1, "y"], "attributes": {"object": 5, "start": -(2**40)}}
    back = decode(msgpack.packb([M.OBJECT, "builtins.UnicodeDecodeError", state]))
    assert (back.object, back.start) == (b"a", 0)
    str(back)
    bad = UnicodeDecodeError("x", b"ab", 0, 1, "y")
    bad.end = 9
    with pytest.raises(UnsupportedTypeError, match="with a position outside of its object"):
        encode(bad)


def test_an_exception_with_states_of_its_own() -> None:
    @register_class
    class Stateful(Exception):
        def __getstate__(self) -> Any:
            return [1, 2]

        def __setstate__(self, state: Any) -> None:
            self.got = state

    @register_class
    class Half(Exception):
        def __getstate__(self) -> Any:
            return {"kept": 5}

    back = rebuilt(Stateful("x"))
    assert (back.args, back.got) == (("x",), [1, 2])
    assert vars(rebuilt(Half("y"))) == {"kept": 5}
