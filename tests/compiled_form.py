"""What the compiled form of the package cannot do for a test.

Knows: which form runs. Must not know: which modules are compiled.
"""

from __future__ import annotations

import pytest

from pyro_events.version import is_compiled

# The plain form holds the same with the same code.
replaces_a_part = pytest.mark.skipif(
    is_compiled(), reason="compiled code does not find what a test puts in place of one of its parts"
)
derives_from_compiled = pytest.mark.skipif(
    is_compiled(), reason="a class of a test cannot derive from a compiled one"
)
