"""A screen that exists in memory only, for programs with a window: Xvfb.

Knows: how Xvfb is started, and the format in which it keeps its picture. Must not know: what is shown.
"""

from __future__ import annotations

import shutil
import struct
import zlib
from pathlib import Path

from processes import Process, Spawner

XVFB = shutil.which("Xvfb")
MISSING = "there is no Xvfb here; install it, for example by: apt-get install xvfb"


class VirtualScreen:
    """A display on which nobody but this machine's programs can draw."""

    def __init__(self, spawn: Spawner, folder: Path, width: int, height: int) -> None:
        assert XVFB is not None, MISSING
        self._frame = folder / "Xvfb_screen0"
        options = ["-screen", "0", f"{width}x{height}x24", "-fbdir", str(folder), "-nolisten", "tcp"]
        # It chooses a free number itself, and writes it to stdout when it is ready.
        self.process: Process = spawn.command(XVFB, "-displayfd", "1", *options, "-noreset")
        self.env = {"DISPLAY": ":" + self.process.wait_for(r"^\d+$").group()}

    def pixels(self) -> Picture:
        """What is on the screen now."""
        return Picture(self._frame.read_bytes())


class Picture:
    """The picture of a screen, of which Xvfb keeps a file in the format of X Window Dumps."""

    def __init__(self, dump: bytes) -> None:
        header = struct.unpack_from(">25I", dump)
        self.width, self.height, self._row, colours = header[4], header[5], header[12], header[19]
        assert (header[1], header[11]) == (7, 32), "not a dump of 32 bits for each pixel"
        start = header[0] + 12 * colours
        self._data = dump[start : start + self._row * self.height]
        self._order = "little" if header[7] == 0 else "big"

    def rows(self) -> list[bytes]:
        """The lines from the top, with three bytes (red, green, blue) for each pixel."""
        first = (2, 1, 0) if self._order == "little" else (1, 2, 3)
        found = []
        for y in range(self.height):
            line = self._data[y * self._row : y * self._row + 4 * self.width]
            colours = bytearray(3 * self.width)
            for place, offset in enumerate(first):
                colours[place::3] = line[offset::4]
            found.append(bytes(colours))
        return found

    def count(self, colour: str) -> int:
        """How many pixels have that colour, "#rrggbb"."""
        wanted = bytes.fromhex(colour[1:])
        return sum(line[at : at + 3] == wanted for line in self.rows() for at in range(0, len(line), 3))

    def save(self, path: Path) -> None:
        """Write it as PNG."""

        def chunk(kind: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        header = struct.pack(">2I5B", self.width, self.height, 8, 2, 0, 0, 0)
        data = zlib.compress(b"".join(b"\0" + line for line in self.rows()), 9)
        path.write_bytes(
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
        )
