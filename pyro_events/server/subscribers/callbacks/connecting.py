"""Contact: connects to a subscriber and does the handshake.

Knows: how to connect to a subscriber, what to send and what its answer must show. Must not know: events,
backlogs, or when the service connects again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import Pyro5.errors

from ....options import ServiceOptions
from ....transport.authentication import STOCK_HELLO
from ....wire.frames import CONNECT_FAIL, Frame
from ....wire.handshake.capabilities import OURS
from ....wire.handshake.greeting_notes import NO_NOTES
from ....wire.handshake.messages import read_connect_fail, read_connect_ok, write_connect
from ....wire.handshake.proofs import CallbackProof
from ...net.tls_connections import OutgoingTls
from ..explanations import unanswered
from ..owner import ContactOwner
from .callback_address import Callback


class Contact:
    """Connects to one subscriber and does the handshake, each within the time of a first contact.

    notes: what the subscriber is told in the next handshake. proved: whether a proof was sent, which is good
    once, so there can be no second connection.
    """

    __slots__ = ("_callback", "_options", "_owner", "_proof", "_task", "_timer", "notes", "proved")

    def __init__(
        self, owner: ContactOwner, callback: Callback, options: ServiceOptions, proof: CallbackProof | None
    ) -> None:
        """callback: where it is; no name is looked up. proof: for the handshake, and the answer must match
        it."""
        self._owner = owner
        self._callback = callback
        self._options = options
        self._proof = proof
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.notes = NO_NOTES
        self.proved = proof is not None

    def connect(self, protocol: asyncio.Protocol, failed: Callable[[str], None]) -> None:
        """Begin to connect a protocol; `failed` is called with the reason if that fails."""
        self._task = asyncio.get_running_loop().create_task(self._connect(protocol, failed))

    async def _connect(self, protocol: asyncio.Protocol, failed: Callable[[str], None]) -> None:
        contexts, layer = self._owner.client_tls, None
        if contexts is not None:
            certified_name = self._callback.certified_name
            layer = OutgoingTls(protocol, contexts.get(), self._owner.tls_memory, certified_name)
        failure = await connected(protocol, self._callback.address, layer, self._options.first_contact)
        self._task = None
        if failure is not None:
            failed(failure)

    def greet(self, transport: asyncio.Transport, too_late: Callable[[str], None]) -> None:
        """Send the handshake; `too_late` is called with the reason if no answer comes in time."""
        patience = self._options.first_contact
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(patience, too_late, unanswered(patience))
        hello = self._proof.hello if self._proof is not None else STOCK_HELLO
        bound = self._options.max_message
        transport.write(
            write_connect(self._callback.object_id, hello, max_message=bound, notes=self.notes, peer=OURS)
        )

    def answered(self, frame: Frame) -> bool:
        """Read the answer. Returns whether the object has only `event`, not `events`. Raises
        ProtocolError."""
        self._stop_waiting()
        proof, self._proof = self._proof, None  # it takes a KiB
        self.notes = NO_NOTES
        return takes_event_only(frame, proof)

    def end(self) -> None:
        """Wait no longer for a connection or an answer."""
        self._stop_waiting()
        if self._task is not None:
            self._task.cancel()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def connected(
    protocol: asyncio.Protocol,
    address: tuple[str, int],
    layer: OutgoingTls | None,
    patience: float,
) -> str | None:
    """Connect a protocol to a subscriber's daemon. Returns why that failed, or None.

    layer: TLS for it. patience: seconds in all.
    """
    host, port = address
    try:
        # A daemon that does not run yet answers neither TLS nor the handshake.
        refusal = await asyncio.wait_for(_made(protocol, address, layer), patience)
    except asyncio.TimeoutError:
        return f"could not be reached within {patience:g} s"
    except OSError as error:
        return (
            f"cannot be connected to at {host}:{port} ({error}); its daemon must listen on the "
            "address from which it subscribed (Pyro5's setting HOST there)"
        )
    if refusal:
        return f"cannot be connected to at {host}:{port} over TLS: {refusal}"
    return None


async def _made(protocol: asyncio.Protocol, address: tuple[str, int], layer: OutgoingTls | None) -> str:
    """Make a connection. Returns why TLS failed, or None. Raises OSError."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(lambda: layer or protocol, *address)
    if layer is None:
        return ""
    try:
        return await layer.secured
    except asyncio.CancelledError:
        transport.abort()
        raise


def takes_event_only(frame: Frame, proof: CallbackProof | None) -> bool:
    """Read the answer to the handshake: whether the object has no `events`, only `event`.

    proof: was sent in the handshake, and the answer must match. Raises ProtocolError for a subscriber that
    cannot be delivered to.
    """
    if frame.type == CONNECT_FAIL:
        reason = f"its daemon refused the connection: {read_connect_fail(frame)}"
        raise Pyro5.errors.ProtocolError(reason[:300])
    welcome = read_connect_ok(frame)
    if welcome.methods is None:
        raise Pyro5.errors.ProtocolError("its daemon did not say what the object can do")
    if proof is not None and not proof.accepts(welcome.handshake):
        raise Pyro5.errors.ProtocolError("it does not prove that it knows the passphrase")
    if welcome.methods.isdisjoint(("event", "events")):
        raise Pyro5.errors.ProtocolError("its object exposes neither `event` nor `events`")
    return "events" not in welcome.methods
