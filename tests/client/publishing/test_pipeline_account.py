"""The account of a pipeline: its numbers, and the error that says them."""

from __future__ import annotations

from pyro_events.client.publishing.pipeline_account import PipelineAccount
from pyro_events.errors import OutcomeUnknownError, PipelineError


def numbers(failure: PipelineError) -> tuple[int, int, int, int]:
    return failure.published, failure.not_published, failure.unknown, failure.pending


def test_the_error_says_all_numbers_and_the_first_cause() -> None:
    account = PipelineAccount()
    first = ValueError("a bad name")
    account.published, account.not_published = 10, 2
    account.failed(first)
    account.failed(ValueError("another"))
    failure = account.failure(pending=3)
    assert failure.__cause__ is first and numbers(failure) == (10, 2, 0, 3)
    assert str(failure) == (
        "of the events of a pipeline 10 were published, 2 were not published, and of 0 it is unknown, "
        "3 are pending: a bad name"
    )
    assert not isinstance(failure, OutcomeUnknownError)


def test_it_is_unknown_where_anything_is() -> None:
    account = PipelineAccount()
    account.unknown, account.trouble = 1, True
    failure = account.failure(pending=0)
    assert isinstance(failure, OutcomeUnknownError)
    assert str(failure).endswith("of 1 it is unknown: sending was interrupted")


def test_what_was_told_is_not_told_again_and_can_be_brought_up_to_date() -> None:
    account = PipelineAccount()
    account.failed(ValueError("a bad name"))
    failure = account.failure(pending=5)
    account.told()
    assert not account.trouble and account.cause is None
    account.published = 5
    account.update(failure, pending=0)
    assert numbers(failure) == (5, 0, 0, 0) and str(failure).endswith("is unknown: a bad name")
