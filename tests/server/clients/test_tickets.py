"""Which clients are told of the Unix socket, and how they are known again there."""

from __future__ import annotations

from pyro_events.server.clients.tickets import Tickets
from pyro_events.wire.handshake.unix_offer import NO_OFFER, UnixOffer

SEEN = ("127.0.0.1", 4321)


def tickets() -> Tickets[str]:
    made: Tickets[str] = Tickets()
    made.path = "/run/es.sock"
    return made


def test_a_ticket_is_good_once() -> None:
    these = tickets()
    offer = these.offer("one", SEEN)
    assert (offer.path, offer.seen) == ("/run/es.sock", SEEN)
    assert these.redeem(offer.ticket) == ("one", UnixOffer(receipt=offer.receipt))
    assert these.redeem(offer.ticket) is None and len(these) == 0


def test_each_connection_has_a_ticket_of_its_own() -> None:
    these = tickets()
    offers = [these.offer(name, SEEN) for name in ("one", "two")]
    assert len({text for offer in offers for text in (offer.ticket, offer.receipt)}) == 4
    found = these.redeem(offers[1].ticket)
    assert found is not None and found[0] == "two"
    found = these.redeem(offers[0].ticket)
    assert found is not None and found[0] == "one"


def test_a_ticket_ends_with_its_connection() -> None:
    these = tickets()
    offer = these.offer("one", SEEN)
    these.forget("two")
    these.forget("one")
    these.forget("one")
    assert these.redeem(offer.ticket) is None and len(these) == 0


def test_one_that_is_told_again_has_only_the_last_ticket() -> None:
    these = tickets()
    first, second = these.offer("one", SEEN), these.offer("one", SEEN)
    assert these.redeem(first.ticket) is None and len(these) == 1
    assert these.redeem(second.ticket) is not None


def test_nothing_is_offered_to_another_machine_or_without_a_socket() -> None:
    these = tickets()
    assert these.offer("one", None) == NO_OFFER
    these.path = ""
    assert these.offer("one", SEEN) == NO_OFFER and len(these) == 0
