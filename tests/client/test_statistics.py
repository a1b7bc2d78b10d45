"""What clients tell about themselves: snapshots that cannot change, each figure of which is described."""

from __future__ import annotations

import dataclasses
import inspect
import re

import pytest

from pyro_events.client.statistics import ClientStatistics, PublisherStatistics, SubscriberStatistics


@pytest.mark.parametrize("kind", [PublisherStatistics, SubscriberStatistics, ClientStatistics])
def test_each_figure_is_described_in_order(kind: type) -> None:
    section = inspect.cleandoc(kind.__doc__ or "").split("Attributes:")[1].split("Example:")[0]
    assert re.findall(r"^    (\w+):", section, re.MULTILINE) == [
        each.name for each in dataclasses.fields(kind)
    ]


def test_a_snapshot_cannot_change() -> None:
    snapshot = PublisherStatistics(1, 2, 3, 4, True, "PYRO:es@example:1", "a test")
    with pytest.raises(dataclasses.FrozenInstanceError):
        snapshot.published = 5  # type: ignore[misc]
    assert dataclasses.asdict(snapshot)["queued"] == 2
