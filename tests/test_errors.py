"""The error tree: code that catches Pyro5's or Python's class catches ours."""

from __future__ import annotations

import copy
import pickle

import Pyro5.errors
import pytest

import pyro_events
from pyro_events import errors
from pyro_events.errors import ClocksDifferError, RemoteError

ALL = [getattr(errors, name) for name in errors.__all__]


def made(kind: type[Exception]) -> Exception:
    return kind("lab.Error", "what was wrong") if kind is RemoteError else kind("what was wrong")


def test_all_are_public_and_have_one_base() -> None:
    defined = {
        each
        for each in vars(errors).values()
        if isinstance(each, type) and each.__module__ == errors.__name__
    }
    assert defined == set(ALL)
    for kind in ALL:
        assert issubclass(kind, errors.EventServiceError) and issubclass(kind, Pyro5.errors.PyroError)
        assert getattr(pyro_events, kind.__name__) is kind


@pytest.mark.parametrize(
    ("kind", "others"),
    [
        (errors.ServiceNotFoundError, {Pyro5.errors.NamingError}),
        (errors.ServiceExistsError, {Pyro5.errors.NamingError}),
        (errors.ServiceUnreachableError, {Pyro5.errors.CommunicationError}),
        (errors.AccessDeniedError, {Pyro5.errors.SecurityError}),
        (errors.NameServerDeniedError, {errors.AccessDeniedError, Pyro5.errors.NamingError}),
        (errors.OutcomeUnknownError, {Pyro5.errors.ConnectionClosedError}),
        (errors.AnswerTimeoutError, {errors.OutcomeUnknownError, TimeoutError, Pyro5.errors.TimeoutError}),
        (errors.PipelineOutcomeUnknownError, {errors.PipelineError, errors.OutcomeUnknownError}),
        (errors.UnsupportedTypeError, {TypeError}),
        (errors.PayloadError, {ValueError}),
        (errors.MessageTooLargeError, {Pyro5.errors.MessageTooLargeError, ValueError}),
    ],
    ids=lambda each: each.__name__ if isinstance(each, type) else "",
)
def test_programs_that_expect_another_class_get_it(
    kind: type[Exception], others: set[type[Exception]]
) -> None:
    assert all(issubclass(kind, other) for other in others)


def test_code_that_retries_after_a_lost_connection_does_not_after_a_denial() -> None:
    assert not issubclass(errors.AccessDeniedError, Pyro5.errors.CommunicationError)


@pytest.mark.parametrize("kind", ALL)
def test_they_can_be_copied_and_sent_to_another_process(kind: type[Exception]) -> None:
    error = made(kind)
    error.detail = 5  # type: ignore[attr-defined]
    for back in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(back) is kind
        assert (str(back), back.detail) == (str(error), 5)


def test_clocks_differ_by_seconds() -> None:
    assert ClocksDifferError("the clocks differ").seconds == 0.0
    assert ClocksDifferError("the clocks differ", seconds=-90.0).seconds == -90.0
