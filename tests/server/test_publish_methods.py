"""What publishers can call: what is refused before anything is published, and how a call becomes entries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import Pyro5.errors
import pytest

from pyro_events.broker.broker import Broker
from pyro_events.broker.matching.rights import Rights
from pyro_events.codec.message import decode
from pyro_events.constants import MIB
from pyro_events.options import BacklogOptions, ServiceOptions
from pyro_events.server.objects import Caller
from pyro_events.server.publish_methods import PublishMethods
from pyro_events.wire.frames import MSGPACK, SERPENT
from pyro_events.wire.requests import Publication

CALLER = Caller("192.0.2.1", MSGPACK)


class FakeEngine:
    """Notes what is published."""

    def __init__(self) -> None:
        self.options = ServiceOptions(max_message=2 * MIB)
        self.entries: list[tuple[list[str], bytes]] = []
        self.retained: list[int] = []  # which of them
        self.broker = Broker(BacklogOptions(), MIB)

    def publish(self, entries: Iterable[Any], retained: Iterable[int] = ()) -> int:
        self.retained += [len(self.entries) + position for position in retained]
        self.entries += [(list(subjects), bytes(payload)) for subjects, payload in entries]
        return len(self.entries)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def service(engine: FakeEngine) -> PublishMethods:
    return PublishMethods(engine)  # type: ignore[arg-type]


def test_a_batch_becomes_entries_in_order(service: PublishMethods, engine: FakeEngine) -> None:
    batch = [["A", b"1"], ["A", b"2"], [["A", "B"], b"3"], ("B", b"4"), ["B", memoryview(b"5")]]
    assert service.publish_encoded(CALLER, batch) == 5
    assert engine.entries == [(["A"], b"1"), (["A"], b"2"), (["A", "B"], b"3"), (["B"], b"4"), (["B"], b"5")]


def test_entries_with_options_are_kept_or_not(service: PublishMethods, engine: FakeEngine) -> None:
    keep, large = {"retain": True}, bytes(MIB // 2 + 1)
    batch: list[Any] = [["A", b"1"], ["B", b"2", keep], ["C", b"3", {"retain": False}], ["D", b"4", {}]]
    service.publish_encoded(CALLER, [*batch, ["E", b"5", None], [["F", "G"], large, keep], ("H", b"6", keep)])
    assert [(subjects, i in engine.retained) for i, (subjects, _) in enumerate(engine.entries)] == [
        (["A"], False),
        (["B"], True),
        (["C"], False),
        (["D"], False),
        (["E"], False),
        (["F"], True),
        (["G"], True),
        (["H"], True),
    ]


def test_other_ways_of_publishing_have_the_option_too(service: PublishMethods, engine: FakeEngine) -> None:
    service.publish(CALLER, "A", "value", {"retain": True})
    service.publish(CALLER, "B", "value", options={"retain": False})
    service.publish_large(CALLER, Publication(["C", "D"], bytes(MIB // 2 + 1), {"retain": True}))
    assert [subjects for subjects, _ in engine.entries] == [["A"], ["B"], ["C"], ["D"]]
    assert engine.retained == [0, 2, 3]


def test_last_values_are_cleared(service: PublishMethods, engine: FakeEngine) -> None:
    engine.broker.retained.put("A", 1.0, b"1")
    assert service.clear_retained(CALLER, ["a", "B"]) == 1
    assert service.clear_retained(CALLER, "A") == 0
    with pytest.raises(ValueError, match=r"\$ES"):
        service.clear_retained(CALLER, "$ES.SERVICE.STOPPING")


@pytest.mark.parametrize("subject", ["$ES.TEST.1", "$eſ.test.1"])
def test_what_tests_publish_is_not_kept(service: PublishMethods, engine: FakeEngine, subject: str) -> None:
    keep = {"retain": True}
    for publish in (
        lambda: service.publish(CALLER, ["A", subject], 1, keep),
        lambda: service.publish_encoded(CALLER, [[subject, b"1", keep]]),
        lambda: service.publish_large(CALLER, Publication(subject, b"1", keep)),
    ):
        with pytest.raises(ValueError, match="no last value of such subjects"):
            publish()
    assert engine.entries == []


@pytest.mark.parametrize(
    ("batch", "error"),
    [
        ("A", TypeError),
        ([["A", b"1"], ["B", b"2", 5]], TypeError),
        ([["A", b"1"], ["B", b"2", {"retain": 1}]], TypeError),
        ([["A", b"1"], ["B", b"2", {"keep": True}]], ValueError),
        ([["A", b"1"], ["B", b"2", {}, {}]], TypeError),
        ([["A", b"1"], ["B", "text", {}]], TypeError),
        ([["A", b"1"], ["", b"2", {}]], ValueError),
        ([["A", b"1"], ["B"]], TypeError),
        ([["A", b"1"], 5], TypeError),
        ([["A", b"1"], ["B", "text"]], TypeError),
        ([["A", b"1"], ["", b"2"]], ValueError),
        ([["A", b"1"], [5, b"2"]], TypeError),
        ([["A", b"1"], ["B", bytes(2 * MIB + 1)]], Pyro5.errors.MessageTooLargeError),
        ([["A", b"1"], ["$eſ.A", b"2"]], ValueError),
        ([["A", b"1"], [["B", "$ES.TEST."], b"2"]], ValueError),
    ],
    ids=(
        "no list",
        "no options",
        "no flag",
        "no such option",
        "four",
        "text and options",
        "empty name and options",
        "no payload",
        "no pair",
        "text",
        "empty name",
        "no name",
        "too large",
        "the service's",
        "the service's, of two",
    ),
)
def test_of_a_batch_with_a_mistake_nothing_is_published(
    service: PublishMethods, engine: FakeEngine, batch: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        service.publish_encoded(CALLER, batch)
    assert engine.entries == []


def test_a_large_message_is_one_event_after_the_other(service: PublishMethods, engine: FakeEngine) -> None:
    payload = bytes(MIB // 2 + 1)
    assert service.publish_message(["A"], payload) == 1
    assert service.publish_large(CALLER, (["B", "C"], payload)) == 3  # type: ignore[arg-type]
    assert [subjects for subjects, _ in engine.entries] == [["A"], ["B"], ["C"]]


@pytest.mark.parametrize(("serializer", "arrives"), [(SERPENT, b"quote"), (MSGPACK, None)])
def test_bytes_of_a_stock_client_are_what_its_serializer_makes_of_them(
    service: PublishMethods, engine: FakeEngine, serializer: int, arrives: bytes | None
) -> None:
    sent = {"data": "cXVvdGU=", "encoding": "base64"}
    service.publish(Caller("192.0.2.1", serializer), "A", sent)
    ((subjects, payload),) = engine.entries
    assert (subjects, decode(payload)) == (["A"], sent if arrives is None else arrives)


def test_what_a_user_may_not_publish_it_can_neither_keep_nor_clear(
    service: PublishMethods, engine: FakeEngine
) -> None:
    alice = Caller("192.0.2.1", MSGPACK)
    alice.rights = Rights(publish=("LAB.*",))
    keep = {"retain": True}
    service.publish_encoded(alice, [["LAB.A", b"1", keep]])
    engine.broker.retained.put("OTHER", 1.0, b"1")
    for call in (
        lambda: service.publish(alice, ["LAB.A", "OTHER"], 1, keep),
        lambda: service.publish_encoded(alice, [["LAB.A", b"1"], ["OTHER", b"2", keep]]),
        lambda: service.publish_large(alice, Publication("OTHER", b"1", keep)),
        lambda: service.clear_retained(alice, ["LAB.A", "OTHER"]),
    ):
        with pytest.raises(Pyro5.errors.SecurityError, match="OTHER"):
            call()
    assert len(engine.entries) == 1 and len(engine.broker.retained) == 1


def test_who_may_only_publish_a_subject_is_not_told_that_it_had_a_last_value(
    service: PublishMethods, engine: FakeEngine
) -> None:
    alice = Caller("192.0.2.1", MSGPACK)
    alice.rights = Rights(publish=("LAB.*",), subscribe=("LAB.A",))
    for name in ("LAB.A", "LAB.B"):
        engine.broker.retained.put(name, 1.0, b"1")
    assert service.clear_retained(alice, ["LAB.A", "LAB.B", "LAB.C"]) == 1
    assert len(engine.broker.retained) == 0
