"""Event: what a subscriber gets.

Knows: that a payload is decoded by the codec, when somebody looks. Must not know: who made the event,
where it goes, sockets.
"""

from __future__ import annotations

import base64
import time as clock
from collections.abc import Mapping
from typing import Any

from .codec.brief import brief
from .codec.message import decode, encode
from .codec.plain import decode_plain
from .constants import RETAINED
from .errors import PayloadError, UnsupportedTypeError

_NAME = "pyro_events.event.Event"
_YEAR_3000 = 32_503_680_000.0  # ctime would fail beyond what the platform can show


class Event:
    """Something that was published about a subject; what `Subscriber.event` is called with.

    Attributes:
        subject: the name, spelled as it was published.
        time: when the service accepted it, in seconds since the epoch; all subjects and subscribers of one
            `publish` see the same.
        seq: its number for this subscriber, from 1 for the first event of a connection, then consecutive; 0
            when it was not delivered by a service.
        missed: how many events for this subscriber were dropped just before this one; None when nobody knows.
        retained: whether it is a last value: it was published before this subscriber subscribed with
            `last=True`, and the service has kept it.

    Example:
        >>> event = Event("STOCKQUOTE.SUN", ("SUN", 22.44))
        >>> event.subject, event.msg, event.seq, event.missed
        ('STOCKQUOTE.SUN', ('SUN', 22.44), 0, 0)
    """

    # Without __getattr__, which would make every attribute several times slower to read.
    __slots__ = ("_msg", "_payload", "missed", "retained", "seq", "subject", "time")

    subject: str
    _msg: Any
    time: float
    seq: int
    missed: int | None
    retained: bool
    _payload: bytes | memoryview | None

    def __init__(
        self,
        subject: str,
        msg: Any = None,
        time: float | None = None,
        seq: int = 0,
        missed: int | None = 0,
        retained: bool = False,
    ) -> None:
        """Make an event of your own; those that a subscriber is called with are made for it.

        Args:
            subject: the name.
            msg: the message; None by default.
            time: seconds since the epoch. Default None: now.
            seq: its number; 0 by default.
            missed: how many were dropped before it, 0 by default; None when nobody knows.
            retained: whether the service has kept it; False by default.
        """
        self.subject = subject
        self._msg = msg
        self.time = clock.time() if time is None else time
        self.seq = seq
        self.missed = missed
        self.retained = retained
        self._payload = None  # until somebody asks for it

    @classmethod
    def from_payload(
        cls,
        subject: str,
        time: float,
        seq: int,
        missed: int | None,
        payload: bytes | memoryview,
        retained: bool = False,
    ) -> Event:
        """An event whose message is still encoded. Nothing is checked: this is the hot path.

        Args:
            subject: the name.
            time: seconds since the epoch.
            seq: its number.
            missed: how many were dropped before it; None when nobody knows.
            payload: the encoded message.
            retained: whether the service has kept it; False by default.

        Returns:
            The event.
        """
        event = _new(cls)
        event.subject = subject
        event.time = time
        event.seq = seq
        event.missed = missed
        event._payload = payload
        event._msg = _UNREAD
        event.retained = retained
        return event

    @property
    def msg(self) -> Any:
        """The message. It is decoded when it is first looked at; setting it replaces the payload too.

        Raises PayloadError when it cannot be decoded, for example because its class is not registered in this
        program.
        """
        msg = self._msg
        if msg is _UNREAD:
            payload = self._payload
            if payload is None and self._msg is not _UNREAD:  # another thread has just set the message
                return self._msg
            # Two threads may both decode; then one result stays. A service may have sent None, too.
            msg = self._msg = decode(payload)  # type: ignore[arg-type]
        return msg

    @msg.setter
    def msg(self, msg: Any) -> None:
        self._msg = msg
        self._payload = None

    @property
    def payload(self) -> bytes:
        """The encoded message, as bytes.

        Raises UnsupportedTypeError for an event of your own whose message cannot be sent.
        """
        payload = self._payload
        if payload is None:
            payload = self._payload = encode(self.msg)
        elif type(payload) is memoryview:  # a large one stays where it was received until it is asked for
            payload = self._payload = bytes(payload)
        return payload

    def plain(self) -> Any:
        """The message, for a program that does not know all its classes: a tool that shows or records events.

        Returns:
            What `msg` is, with an `Unknown(name, state)` in place of each instance whose class is not known
            here or cannot be rebuilt, and of a numpy array where numpy is not installed.

        Raises:
            PayloadError: the bytes are not an encoded message.
            UnsupportedTypeError: as `payload` does.

        Example:
            >>> Event("STOCKQUOTE.SUN", {"price": 22.44}).plain()
            {'price': 22.44}
        """
        return decode_plain(self.payload)

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
        mine = (self.subject, self.time, self.seq, self.missed, self.retained)
        if mine != (other.subject, other.time, other.seq, other.missed, other.retained):
            return False
        return _same_message(self, other)

    def __hash__(self) -> int:
        return hash((self.subject, self.time, self.seq))

    def __reduce__(self) -> tuple[Any, ...]:
        # copy and pickle would otherwise decode the message.
        try:
            _ = self.payload
        except UnsupportedTypeError:  # an event of one's own making, which can be copied all the same
            return Event, (self.subject, self.msg, self.time, self.seq, self.missed, self.retained)
        kept = (True,) if self.retained else ()
        return Event.from_payload, (self.subject, self.time, self.seq, self.missed, self.payload, *kept)

    def to_dict(self) -> dict[str, Any]:
        """What crosses Pyro's own wire.

        Returns:
            A dict of plain data, from which `from_dict` makes the event again.

        Raises:
            UnsupportedTypeError: as `payload` does.
        """
        kept = {RETAINED: True} if self.retained else {}
        return {
            "__class__": _NAME,
            "subject": self.subject,
            "time": self.time,
            "seq": self.seq,
            "missed": self.missed,
            "payload": self.payload,
            **kept,
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Event:
        """The event of `to_dict`, checked.

        Args:
            state: what `to_dict` returned. Serpent makes a dict of the payload, which is taken too; a stock
                program may give `msg` in its place.

        Returns:
            The event.

        Raises:
            PayloadError: it is not the state of an event.
        """
        values: Any = map(state.get, ("subject", "time", "seq", "missed"))
        subject, time, seq, missed = values
        retained = state.get(RETAINED, False)
        if not (
            type(subject) is str
            and type(time) in (int, float)
            and 0 <= time < _YEAR_3000
            and type(seq) is int
            and (missed is None or type(missed) is int)
            and type(retained) is bool
        ):
            raise PayloadError("not the state of an Event")
        if "payload" not in state:
            return cls(subject, state.get("msg"), float(time), seq, missed, retained)
        return cls.from_payload(subject, float(time), seq, missed, _payload(state["payload"]), retained)


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
