"""The version of the package; setup.cfg reads it too.

Knows: a number. Must not know: anything else.
"""

from __future__ import annotations

from typing import Final

__version__: Final = "0.1.0"
