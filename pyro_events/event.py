"""Event: what a subscriber gets.

Knows: that a payload is decoded by the codec, when somebody looks. Must not know: who made the event,
where it goes, sockets.
"""

from __future__ import annotations

import base64
import contextlib
import time as clock
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .codec.brief import brief
from .codec.message import decode, encode
from .codec.plain import decode_plain
from .errors import PayloadError, UnsupportedTypeError

_NAME = "pyro_events.event.Event"
_YEAR_3000 = 32_503_680_000.0  # ctime would fail beyond what the platform can show


class Event:
    """Something that was published about a subject.

    subject: str, spelled as it was published.
    msg: the message. It is decoded when it is first looked at; raises PayloadError when it cannot be,
        for example because its class is not registered in this program.
    time: float, seconds since the epoch, when the service accepted it; all subjects and subscribers of
        one publish see the same.
    seq: int, 1 for the first event of this connection, then consecutive; 0 when it was not delivered by
        a service.
    missed: how many events for this subscriber were dropped just before this one; None when unknown.
    payload: bytes, the encoded message.
    """

    __slots__ = ("_msg", "_payload", "missed", "seq", "subject", "time")

    subject: str
    _msg: Any
    time: float
    seq: int
    missed: int | None
    _payload: bytes | memoryview

    def __init__(
        self,
        subject: str,
        msg: Any = None,
        time: float | None = None,
        seq: int = 0,
        missed: int | None = 0,
    ) -> None:
        """An event of one's own making; time=None is now."""
        self.subject = subject
        self._msg = msg
        self.time = clock.time() if time is None else time
        self.seq = seq
        self.missed = missed

    @classmethod
    def from_payload(
        cls, subject: str, time: float, seq: int, missed: int | None, payload: bytes | memoryview
    ) -> Event:
        """An event whose message is still encoded. Nothing is checked: this is the hot path."""
        event = _new(cls)
        event.subject = subject
        event.time = time
        event.seq = seq
        event.missed = missed
        event._payload = payload
        # An empty slot would do, but its AttributeError takes longer than decoding a quote.
        event._msg = _UNREAD
        return event

    @property
    def msg(self) -> Any:
        """The message; setting it replaces the payload too."""
        msg = self._msg
        if msg is _UNREAD:
            # Two threads may both decode; then one result stays.
            msg = self._msg = decode(self._payload)
        return msg

    @msg.setter
    def msg(self, msg: Any) -> None:
        self._msg = msg
        with contextlib.suppress(AttributeError):  # it may not have been asked for yet
            del self._payload

    @property
    def payload(self) -> bytes:
        """The encoded message. Raises UnsupportedTypeError for one of one's own that cannot be carried."""
        payload = self._payload
        if type(payload) is memoryview:  # a large one stays where it was received until it is asked for
            payload = self._payload = bytes(payload)
        return payload

    def plain(self) -> Any:
        """The message, for a program that does not know all its classes: a tool that shows or records events.

        Returns: what `msg` is, with an `Unknown(name, state)` in place of each instance whose class is not
            known here or cannot be rebuilt, and of a numpy array where numpy is not installed.

        Raises: PayloadError for bytes that are no message; UnsupportedTypeError as `payload` does.

        Example: `Unknown('lab.Reading', {'sensor': 'T1'})` for a `Reading` that only its publisher has
            registered
        """
        return decode_plain(self.payload)

    if not TYPE_CHECKING:  # or no misspelt attribute would be found

        def __getattr__(self, name: str) -> Any:
            if name == "_payload":  # called only while the slot is empty
                self._payload = encode(self.msg)
                return self._payload
            raise AttributeError(f"an Event has no attribute {name!r}", name=name, obj=self)

    def __str__(self) -> str:
        try:
            msg = str(self.msg)
        except ValueError as error:  # it cannot be decoded here, or is an int too long to be shown
            msg = f"{type(error).__name__}: {error}"
        return f"<EVENT SUBJ {self.subject} ({_shown_time(self.time)}): {msg}>"

    def __repr__(self) -> str:
        """As `str`, but a long message is cut: for logs and debuggers."""
        try:
            msg = brief(self.msg)
        except ValueError as error:  # as above
            msg = f"{type(error).__name__}: {error}"
        return f"<EVENT SUBJ {self.subject} ({_shown_time(self.time)}): {msg}>"

    def __eq__(self, other: object) -> bool:
        if type(other) is not Event:
            return NotImplemented
        mine = (self.subject, self.time, self.seq, self.missed)
        if mine != (other.subject, other.time, other.seq, other.missed):
            return False
        return _same_message(self, other)

    def __hash__(self) -> int:
        return hash((self.subject, self.time, self.seq))

    def __reduce__(self) -> tuple[Any, ...]:
        # copy and pickle would otherwise decode the message.
        try:
            _ = self.payload
        except UnsupportedTypeError:  # an event of one's own making, which can be copied all the same
            return Event, (self.subject, self.msg, self.time, self.seq, self.missed)
        return Event.from_payload, (self.subject, self.time, self.seq, self.missed, self.payload)

    def to_dict(self) -> dict[str, Any]:
        """What crosses Pyro's own wire."""
        return {
            "__class__": _NAME,
            "subject": self.subject,
            "time": self.time,
            "seq": self.seq,
            "missed": self.missed,
            "payload": self.payload,
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Event:
        """The event of `to_dict`, checked.

        Serpent makes a dict of the payload; a stock program may give `msg` instead. Raises PayloadError.
        """
        values: Any = map(state.get, ("subject", "time", "seq", "missed"))
        subject, time, seq, missed = values
        if not (
            type(subject) is str
            and type(time) in (int, float)
            and 0 <= time < _YEAR_3000
            and type(seq) is int
            and (missed is None or type(missed) is int)
        ):
            raise PayloadError("not the state of an Event")
        if "payload" not in state:
            return cls(subject, state.get("msg"), float(time), seq, missed)
        return cls.from_payload(subject, float(time), seq, missed, _payload(state["payload"]))


_new = object.__new__
_UNREAD: Any = object()


def _shown_time(time: float) -> str:
    try:
        return clock.ctime(time)
    except (ValueError, OverflowError, OSError):  # nan, or beyond what the platform can show
        return str(time)


def _payload(value: Any) -> bytes:
    if type(value) is dict and value.get("encoding") == "base64":
        try:
            value = base64.b64decode(value["data"], validate=True)
        except (KeyError, TypeError, ValueError) as error:
            raise PayloadError("the payload of an Event is not in base64") from error
    if type(value) is not bytes:
        raise PayloadError(f"the payload of an Event must be bytes, not {type(value)!r}")
    return value


def _same_message(one: Event, other: Event) -> bool:
    try:
        if one.msg == other.msg:
            return True
    except ValueError:  # it cannot be decoded here, or it holds numpy arrays
        return one.payload == other.payload
    try:
        return one.payload == other.payload  # nan is not equal to itself, its bytes are
    except UnsupportedTypeError:
        return False
