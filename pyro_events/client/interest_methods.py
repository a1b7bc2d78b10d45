"""The methods by which a publisher finds out who listens.

Knows: what a program may give. Must not know: connections, or when a function is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

from ..broker.matching.service_subjects import check_published_all
from .base import ClientBase, end_of
from .publishing.sender import Sender

# Imported when a program first asks who listens: it is told of that over a stream, which is as much to import
# as the rest of a publisher.
if TYPE_CHECKING:
    from .interest.functions import InterestFunction
    from .interest.interest_watch import InterestWatch
    from .interest.publisher_interest import PublisherInterest


def checked_exact(exact: object) -> bool:
    """The argument of `listeners`, checked. Raises TypeError."""
    if not isinstance(exact, bool):
        raise TypeError(f"exact must be True or False, not {type(exact).__name__}")
    return exact


def checked_watch(subjects: tuple[object, ...], call: Callable[[str, int], object]) -> InterestFunction:
    """The arguments of `on_interest`, checked. Raises TypeError or ValueError."""
    from .interest.functions import InterestFunction, check_interest_function

    check_interest_function(call)
    for each in subjects:
        if not isinstance(each, str):
            kind = type(each).__name__
            raise TypeError(
                f'on_interest() takes names as text, not {kind}: write on_interest("A", "B", call=...)'
            )
    names = check_published_all(subjects)
    if not names:
        raise ValueError("on_interest() needs at least one subject")
    return InterestFunction(call, names)


class InterestMethods(ClientBase):
    """Base of Publisher: who listens."""

    __interest: PublisherInterest | None = None

    def listeners(self, subjects: str | Iterable[str], exact: bool = False) -> dict[str, int]:
        """How many listeners subjects have now: how many deliveries an event would become.

        Patterns count, and a group of subscribers counts as one. A subscriber counts from when its
        subscription is accepted, even if it does not listen yet.

        Args:
            subjects: one name or any iterable of names, at most 1,000.
            exact: do not count those that match a subject only by patterns that match everything, such as
                `.*`: loggers and screens that show whatever there is. Default False: count all of them.

        Returns:
            The number of listeners by subject, as given.

        Raises:
            TypeError, ValueError: a name cannot be published, or `exact` is neither True nor False; the text
                says which.
            AccessDeniedError: the user has no right to publish a subject.
            ServiceUnreachableError, ServiceNotFoundError: there is no connection to the service.
            EventServiceError: this publisher is closed.

        Example:
            >>> with EventStream("STOCKQUOTE.SUN"):
            ...     market.listeners(["STOCKQUOTE.SUN", "STOCKQUOTE.IBM"])
            {'STOCKQUOTE.SUN': 1, 'STOCKQUOTE.IBM': 0}
        """
        names = check_published_all(subjects)
        return self.__interested().listeners(names, checked_exact(exact))

    def on_interest(self, *subjects: str, call: Callable[[str, int], object]) -> InterestWatch:
        """Call a function when the first listener of a subject comes, and when the last one goes.

        So an instrument can work only while somebody looks. `call(subject, listeners)` is called with the
        number of listeners, 0 when the last one has gone; at the beginning only for subjects that have some.
        When the connection to the service was lost and is there again, it is called once for each of the
        subjects, whatever has changed. Who comes and goes in quick succession may not be noticed, but the
        last call says how it is.

        All functions of a publisher are called in one thread of its own, one after the other. They may
        publish, call `on_interest`, and close the publisher. What one raises is logged and counted.

        Args:
            subjects: one or more names, as for `publish`.
            call: a plain function, which is called with a subject, spelled as here, and a number.

        Returns:
            An InterestWatch, whose `close` ends it. It ends with its `with` block, if it has one, and with
            the publisher.

        Raises:
            TypeError, ValueError: a name cannot be published, there are too many, or the function cannot be
                called with a subject and a number, or then runs nothing, as a coroutine function.
            AccessDeniedError: the user has no right to publish a subject.
            ServiceUnreachableError, ServiceNotFoundError: there is no connection to the service, or the
                service is too old. Then nothing has changed.
            EventServiceError: this publisher is closed.

        Example:
            >>> def switch(subject, listeners):
            ...     print("somebody looks" if listeners else "nobody looks")
            >>> watch = market.on_interest("CAMERA.1", call=switch)
        """
        from .interest.interest_watch import InterestWatch

        function = checked_watch(subjects, call)
        interest = self.__interested()
        interest.watch(function)
        return InterestWatch(interest, function)

    def __interested(self) -> PublisherInterest:
        from .interest.publisher_interest import PublisherInterest

        sender = cast(Sender, end_of(self, "publisher"))
        interest = self.__interest
        if interest is None or interest.sender is not sender or interest.parents:
            # Where two threads are here at once, one of theirs is dropped, which has connected to nothing.
            interest = PublisherInterest(sender)
            if self.__interest is None:
                interest = self.__dict__.setdefault("_InterestMethods__interest", interest)
            else:  # __init__ was called again, or this is a forked child
                self.__interest = interest
        return interest
