"""The options of the event service's start script, in groups, each with its help text.

Knows: the names, defaults and limits of the service's options. Must not know: how a service works, or how
options are parsed.

A help text says what the option does, and what happens when its limit is reached.
"""

from __future__ import annotations

from typing import Final

from .. import constants as c
from ..options import Overflow
from .option_groups import (
    GENERAL_OPTIONS,
    IDENT_OPTIONS,
    PERMISSIONS_OPTION,
    Hosts,
    OptionGroup,
    count,
    port,
    seconds,
    size,
    switch,
)

_LISTENING: Final[OptionGroup] = (
    "where it listens",
    (
        (
            ("-n", "--host"),
            {
                "metavar": "HOST",
                "help": "host name or address to listen on; 0.0.0.0 or :: for all interfaces (default: "
                "Pyro5's setting HOST, which is the loopback interface)",
            },
        ),
        (
            ("-p", "--port"),
            {
                "type": port,
                "metavar": "PORT",
                "help": f"port to listen on; 0 for any free one (default: {c.DEFAULT_PORT}, or any free one "
                "if that is taken and a name server is used)",
            },
        ),
        (
            ("--nathost",),
            {
                "metavar": "HOST",
                "help": "host name or address to register and print, if clients reach the service at another "
                "one than it listens on (default: Pyro5's setting NATHOST, else the one of --host)",
            },
        ),
        (
            ("--natport",),
            {
                "type": port,
                "metavar": "PORT",
                "help": "port to register and print (default: Pyro5's setting NATPORT, else the one of "
                "--port)",
            },
        ),
        (
            ("--unix-socket",),
            {
                "metavar": "PATH",
                "default": c.UNIX_AUTO,
                "help": "where it also listens for clients of its own user on the same machine, which is "
                "faster than TCP: an absolute path, or auto or off (default: %(default)s)",
            },
        ),
    ),
)
_NAME_SERVER: Final[OptionGroup] = (
    "name server",
    (
        (("-N", "--no-ns"), switch("use no name server; give the printed URI to clients as es_uri")),
        (
            ("--ns-host",),
            {
                "metavar": "HOST",
                "help": "host of the name server (default: Pyro5's setting NS_HOST); with --embed-ns, the "
                "host that the embedded one listens on (default: the one of --host)",
            },
        ),
        (
            ("--ns-port",),
            {
                "type": port,
                "metavar": "PORT",
                "help": "port of the name server, also with --embed-ns (default: Pyro5's setting NS_PORT)",
            },
        ),
        (("--embed-ns",), switch("run a name server in the same process")),
        (
            ("--replace",),
            switch(
                "take over the name of a live event service, which then delivers what is queued and ends; "
                "without this option a second service does not start"
            ),
        ),
    ),
)
_SECURITY: Final[OptionGroup] = (
    "security",
    (
        *IDENT_OPTIONS,
        PERMISSIONS_OPTION,
        (
            ("--allow-callback",),
            {
                "action": Hosts,
                "metavar": "HOST",
                "help": "connect to subscribers on this host even if another host subscribes them; without "
                "it such a subscription is refused; may be given several times",
            },
        ),
    ),
)
_BACKLOGS: Final[OptionGroup] = (
    "backlogs",
    (
        (
            ("--backlog",),
            count(
                c.BACKLOG_EVENTS,
                "EVENTS",
                "largest number of events that wait for one subscriber; at the limit its overflow policy "
                "applies; a subscriber can ask for less",
            ),
        ),
        (
            ("--backlog-bytes",),
            size(c.BACKLOG_BYTES, "largest size of the events that wait for one subscriber; as --backlog"),
        ),
        (
            ("--overflow",),
            {
                "choices": [policy.value for policy in Overflow],
                "default": Overflow.BLOCK.value,
                "metavar": "POLICY",
                "help": "what happens to an event that finds a backlog full: its publisher waits (block), "
                "the oldest or the new event is dropped (drop-oldest, drop-newest), only the newest event of "
                "each subject is kept, full or not (latest), or the subscriber is disconnected (disconnect); "
                "a subscriber can ask for another policy (default: %(default)s)",
            },
        ),
        (
            ("--delivery-deadline",),
            seconds(
                c.DELIVERY_DEADLINE,
                "longest time for which a full backlog blocks a publisher while its subscriber takes no "
                "event; then the subscriber is disconnected",
            ),
        ),
        (
            ("--block-suspension",),
            seconds(
                c.BLOCK_SUSPENSION,
                "time after that in which subscriptions from the same host get drop-oldest in place of block",
            ),
        ),
        (
            ("--total-backlog-bytes",),
            size(
                c.TOTAL_BACKLOG_BYTES,
                "memory for all backlogs together; at the limit all publishers wait, and after the delivery "
                "deadline the subscribers that hold most of it are disconnected",
            ),
        ),
    ),
)
_LIMITS: Final[OptionGroup] = (
    "limits",
    (
        (
            ("--max-message",),
            size(
                c.MAX_MESSAGE,
                f"largest message, at most {c.LARGEST_MESSAGE // c.MIB} MiB; publishing a larger one is an "
                "error",
            ),
        ),
        (
            ("--max-connections",),
            count(
                c.MAX_CONNECTIONS,
                "N",
                "largest number of clients, and of subscribers, at a time; fewer if the process may not open "
                "enough files; any more are refused with an error",
            ),
        ),
        (
            ("--max-per-host",),
            {
                "type": int,
                "metavar": "N",
                "default": 0,
                "help": "largest number of clients, and of subscribers, of one host; any more are refused "
                "with an error (default: half of --max-connections)",
            },
        ),
        (
            ("--max-subscriptions",),
            count(
                c.MAX_SUBSCRIPTIONS,
                "N",
                "largest number of names and patterns of one subscriber; subscribing to more is an error",
            ),
        ),
        (
            ("--max-programs",),
            count(
                c.MAX_SUBSCRIBER_PROGRAMS,
                "SIZE",
                "maximum total RE2 program size of one subscriber's patterns; subscribing to more is an "
                "error",
            ),
        ),
        (
            ("--total-subscription-bytes",),
            size(c.TOTAL_SUBSCRIPTION_BYTES, "memory for all subscriptions; subscribing to more is an error"),
        ),
        (
            ("--host-subscription-bytes",),
            size(
                c.HOST_SUBSCRIPTION_BYTES,
                "memory for the subscriptions that one host makes; subscribing to more is an error",
            ),
        ),
        (
            ("--max-retained",),
            count(
                c.MAX_RETAINED,
                "SUBJECTS",
                "largest number of subjects that have a last value; retaining one more is an error",
            ),
        ),
        (
            ("--max-retained-bytes",),
            size(c.MAX_RETAINED_BYTES, "memory for all last values; retaining more is an error"),
        ),
    ),
)
_TIMES: Final[OptionGroup] = (
    "times",
    (
        (
            ("--heartbeat",),
            seconds(c.HEARTBEAT, "time without a delivery after which a subscriber is sent a heartbeat"),
        ),
        (
            ("--heartbeat-answer",),
            seconds(
                c.HEARTBEAT_ANSWER,
                f"time to answer a heartbeat; a subscriber that leaves {c.HEARTBEAT_TRIES} unanswered is "
                "disconnected",
            ),
        ),
        (
            ("--first-contact",),
            seconds(
                c.FIRST_CONTACT,
                "time from subscribing to listening; then the service drops the subscriber, and one that "
                "listens later subscribes again by itself",
            ),
        ),
        (
            ("--linger",),
            seconds(
                c.LINGER,
                "time without a subscription after which a subscriber is disconnected; with a new one in "
                "that time it misses nothing",
            ),
        ),
        (
            ("--handshake-timeout",),
            seconds(
                c.HANDSHAKE_TIMEOUT, "time for a client's handshake, TLS included; then it is disconnected"
            ),
        ),
        (
            ("--frame-timeout",),
            seconds(
                c.FRAME_TIMEOUT,
                "time for a client to send the rest of a message that it has begun; then it is disconnected",
            ),
        ),
        (
            ("--drain",),
            seconds(
                c.DRAIN, "time to deliver queued events when the service is told to stop; the rest is lost"
            ),
        ),
    ),
)
SERVICE_GROUPS: Final = (_LISTENING, _NAME_SERVER, _SECURITY, _BACKLOGS, _LIMITS, _TIMES, GENERAL_OPTIONS)
