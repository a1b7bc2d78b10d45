"""The options of the event service: their groups and their help text."""

from __future__ import annotations

import pytest

from pyro_events import es
from pyro_events.cli.service_options import SERVICE_GROUPS

TITLES = ["where it listens", "name server", "security", "backlogs", "limits", "times", "general"]


@pytest.fixture
def help_text(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What -h prints on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as caught:
        es.main(["-h"])
    assert caught.value.code == 0
    return capsys.readouterr().out


def test_the_help_text_has_the_groups_in_order(help_text: str) -> None:
    lines = help_text.splitlines()
    assert [line[:-1] for line in lines if line.endswith(":") and not line.startswith(" ")] == TITLES
    assert [title for title, _ in SERVICE_GROUPS] == TITLES


def test_the_help_text_fits_into_a_terminal(help_text: str) -> None:
    assert max(map(len, help_text.splitlines())) < 80
    assert help_text.isascii()


def test_every_option_has_a_help_text() -> None:
    for _, options in SERVICE_GROUPS:
        for names, settings in options:
            assert settings["help"], names


def test_no_option_is_in_two_groups() -> None:
    names = [names for _, options in SERVICE_GROUPS for names, _ in options]
    assert len(names) == len(set(names)) > 30


@pytest.mark.parametrize("name", ["overflow", "delivery-deadline", "max-message", "drain"])
def test_the_default_is_in_the_help_text(help_text: str, name: str) -> None:
    default = getattr(es.parse([], {}), name.replace("-", "_"))
    text = " ".join(help_text.partition(f"  --{name} ")[2].partition("\n  --")[0].split())
    assert f"(default: {default:g}" in text if isinstance(default, float) else f"(default: {default}" in text
