"""What the handshake says of a Unix socket, and how much of it is believed."""

from __future__ import annotations

from typing import Any

import pytest

from pyro_events.wire.handshake.unix_offer import (
    MAX_PATH,
    NO_OFFER,
    OFFER_KEY,
    TICKET_BYTES,
    TICKET_KEY,
    UnixOffer,
    read_ticket,
    read_unix_offer,
)

TICKET, RECEIPT = "0a" * TICKET_BYTES, "1b" * TICKET_BYTES
OFFER = UnixOffer("/run/es.sock", TICKET, RECEIPT, ("127.0.0.1", 4321))


@pytest.mark.parametrize("offer", [OFFER, UnixOffer(receipt=RECEIPT), NO_OFFER])
def test_what_is_written_is_read(offer: UnixOffer) -> None:
    said: dict[str, Any] = {"handshake": "hello"}
    offer.write(said)
    assert read_unix_offer(said) == offer
    assert (OFFER_KEY in said) == (offer != NO_OFFER)


@pytest.mark.parametrize("said", [None, "hello", [], {}, {OFFER_KEY: None}, {OFFER_KEY: [1]}])
def test_a_service_that_offers_nothing(said: Any) -> None:
    assert read_unix_offer(said) == NO_OFFER


@pytest.mark.parametrize(
    "change",
    [
        {"path": None},
        {"path": "es.sock"},
        {"path": "/a\nb"},
        {"path": "/a\ud800"},
        {"path": "/" + "é" * (MAX_PATH // 2)},
        {"ticket": ""},
        {"ticket": TICKET.upper()},
        {"ticket": 5},
        {"seen": None},
        {"seen": ["127.0.0.1"]},
        {"seen": [5, "127.0.0.1"]},
        {"seen": ["127.0.0.1", True]},
        {"seen": ["x" * 51, 5]},
    ],
)
def test_what_is_not_acceptable_is_no_offer(change: dict[str, Any]) -> None:
    said: dict[str, Any] = {}
    OFFER.write(said)
    said[OFFER_KEY] |= change
    assert read_unix_offer(said) == UnixOffer(receipt=RECEIPT)


def test_the_longest_path() -> None:
    said: dict[str, Any] = {}
    OFFER._replace(path="/" + "x" * (MAX_PATH - 1)).write(said)
    assert len(read_unix_offer(said).path) == MAX_PATH


@pytest.mark.parametrize("value", [None, 5, "", "0", TICKET + "0", TICKET.replace("a", "g")])
def test_what_is_no_ticket(value: Any) -> None:
    assert read_ticket({TICKET_KEY: value}) == ""


def test_a_ticket() -> None:
    assert read_ticket({TICKET_KEY: TICKET}) == TICKET and read_ticket({}) == ""
