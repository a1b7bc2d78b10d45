"""Time zones of `zoneinfo`: which class it is, and their keys."""

from __future__ import annotations

import datetime as dt
import io
import struct
import subprocess
import sys
from types import ModuleType
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest

from pyro_events.codec import encode
from pyro_events.codec.zones import is_zone_class, key_of_zone, zone_of_key
from pyro_events.errors import UnsupportedTypeError


class Derived(ZoneInfo):
    pass


def test_only_zoneinfo_itself_is_meant() -> None:
    assert is_zone_class(ZoneInfo)
    assert not is_zone_class(Derived)
    assert not is_zone_class(dt.timezone)


@pytest.mark.parametrize("module", [None, ModuleType("zoneinfo")])
def test_a_module_that_is_being_imported_or_must_not_be(
    module: ModuleType | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other message may fail because another thread has just begun to import it."""
    monkeypatch.setitem(sys.modules, "zoneinfo", module)  # type: ignore[arg-type]
    assert not is_zone_class(ZoneInfo)
    with pytest.raises(UnsupportedTypeError, match="object"):
        encode(object())


def test_a_zone_is_found_again_by_its_key() -> None:
    zone = ZoneInfo("Europe/Amsterdam")
    assert key_of_zone(zone) == "Europe/Amsterdam"
    assert zone_of_key("Europe/Amsterdam") is zone


def test_a_zone_that_was_read_from_a_file_is_refused_even_with_a_key() -> None:
    counts = struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    content = b"TZif2" + bytes(15) + counts + bytes(6) + b"UTC\0"
    content += b"TZif2" + bytes(15) + counts + bytes(6) + b"UTC\0" + b"\nUTC0\n"
    zone = ZoneInfo.from_file(io.BytesIO(content), key="Europe/Amsterdam")
    with pytest.raises(UnsupportedTypeError, match="read from a file"):
        key_of_zone(zone)


def test_an_unknown_key_is_an_error() -> None:
    with pytest.raises(ZoneInfoNotFoundError):
        zone_of_key("Nowhere/Nothing")


def test_zoneinfo_is_imported_with_the_first_zone_and_not_before() -> None:
    program = (
        "import sys; from pyro_events.codec import decode, encode; before = 'zoneinfo' in sys.modules;"
        "zone = decode(bytes.fromhex(sys.argv[1])); print(before, zone.key, encode(zone).hex())"
    )
    document = encode(ZoneInfo("Europe/Amsterdam")).hex()
    done = subprocess.run(
        [sys.executable, "-c", program, document], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["False", "Europe/Amsterdam", document], done.stderr
