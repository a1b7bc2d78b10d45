"""PipelineAccount: what became of the events that a pipeline has accepted, and the error that says it.

Knows: numbers, and the first error. Must not know: frames, connections, or who is told. Both kinds of
pipelines use it, those that block and those on an event loop.
"""

from __future__ import annotations

from ...errors import PipelineError, PipelineOutcomeUnknownError


class PipelineAccount:
    """published, not_published, unknown: events, by their outcome. queued: deliveries queued by the service.
    cause: the first error that has yet to be reported. trouble: whether a failure has yet to be reported to
    the pipeline's caller."""

    __slots__ = ("cause", "not_published", "published", "queued", "trouble", "unknown")

    def __init__(self) -> None:
        self.published = self.not_published = self.unknown = self.queued = 0
        self.cause: BaseException | None = None
        self.trouble = False

    def failed(self, cause: BaseException) -> None:
        """Events have failed; they are counted by the caller."""
        self.cause = self.cause or cause
        self.trouble = True

    def failure(self, pending: int) -> PipelineError:
        """The error that says what happened to all events so far. pending: events whose outcome will be known
        later."""
        failure = PipelineOutcomeUnknownError() if self.unknown else PipelineError()
        failure.__cause__ = self.cause
        self.update(failure, pending)
        return failure

    def told(self) -> None:
        """The caller has got a `failure`."""
        self.trouble, self.cause = False, None

    def update(self, failure: PipelineError, pending: int) -> None:
        """Bring the numbers of an error up to date."""
        failure.published, failure.not_published = self.published, self.not_published
        failure.unknown, failure.pending = self.unknown, pending
        more = f", {pending} are pending" if pending else ""
        failure.args = (
            f"of the events of a pipeline {failure.published} were published, {failure.not_published} were "
            f"not published, and of {failure.unknown} it is unknown{more}: "
            f"{failure.__cause__ or 'sending was interrupted'}",
        )
