"""How long connecting to the service may take.

Knows: seconds. Must not know: what is connected to, or the clock.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ConnectTimes:
    """Seconds.

    connect: for connecting, TLS and the handshake with one address together; Linux repeats a lost SYN after 1
    and 3 s. quick: for connecting alone while a lost service is looked for; a little more than the second
    after which Linux repeats a lost SYN, so that two attempts are at most two seconds apart. first: for all
    of a constructor's connecting, look-up included: its caller gets an answer within two seconds.
    first_pause, last_pause: a constructor that waits for its service tries again after the first pause, then
    after twice as long, up to the last. idle: a connection that was idle for so long is checked before it is
    used, so that a restarted service causes no needless error. No service restarts faster, and a busy
    connection does not pay for the check. let_go: how long a thread that closes a connection waits for the
    threads that it has just woken.
    """

    connect: float = 5.0
    quick: float = 1.1
    first: float = 1.9
    first_pause: float = 0.05
    last_pause: float = 0.8
    idle: float = 0.05
    let_go: float = 1.0
