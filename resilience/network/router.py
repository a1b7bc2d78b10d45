"""A router that translates addresses, with a machine on each side of it.

Knows: Linux's `nft`. Must not know: what is sent.

The machine inside has an address that nobody outside knows. What it sends outside comes from the router's
address; what is sent to the router reaches it only by a port that is forwarded. A router at home does so, and
a host with containers.
"""

from __future__ import annotations

from typing import Final

from .machines import Machines

# Of the machine outside, and of the router there; of the router inside, and of the machine there.
OUTSIDE, GATEWAY = "10.213.58.1", "10.213.58.2"
_INNER_GATEWAY, INSIDE = "10.213.59.1", "10.213.59.2"

TOOL: Final = "nft"

# What the router does with a connection that somebody outside wants to make to it.
CLOSED: Final = {
    "refused": "tcp flags syn tcp dport >= 1024 reject with tcp reset",
    "unreachable": "tcp flags syn tcp dport >= 1024 reject with icmp type host-unreachable",
    "dropped": "tcp flags syn tcp dport >= 1024 drop",
}


class Router(Machines):
    """Three machines in a row: `outside`, the router, and `inside`."""

    def __init__(self, closed: str = "refused", forwarded: int = 0) -> None:
        """closed: a key of CLOSED. forwarded: a port of the router that leads to the machine inside; 0 for
        none. What comes by it seems to come from the router there too, as with containers."""
        self._closed = closed
        self._forwarded = forwarded
        super().__init__(3)

    def _connect(self) -> None:
        self.outside, router, self.inside = self.machines
        self.outside.connect(router, "outer", OUTSIDE, GATEWAY)
        router.connect(self.inside, "inner", _INNER_GATEWAY, INSIDE)
        self.inside.ip("route", "add", "default", "via", _INNER_GATEWAY)
        router.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        router.run(TOOL, "-f", "-", text=self._rules())

    def _rules(self) -> str:
        forward, behind = "", 'oifname "outer" masquerade'
        if self._forwarded:
            forward = f'iifname "outer" tcp dport {self._forwarded} dnat to {INSIDE}'
            behind += '\noifname "inner" masquerade'
        return f"""
            table ip translation {{
                chain to {{ type nat hook prerouting priority dstnat;
                    {forward}
                }}
                chain from {{ type nat hook postrouting priority srcnat;
                    {behind}
                }}
                chain closed {{ type filter hook input priority filter;
                    {CLOSED[self._closed]}
                }}
            }}
        """
