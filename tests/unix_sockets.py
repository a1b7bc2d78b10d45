"""What tests of Unix sockets share."""

from __future__ import annotations

import os
import socket

import pytest

unix_only = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no Unix sockets")
root_only = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="this is not root")
# A user that is neither the tests' nor root.
STRANGER = 12345
