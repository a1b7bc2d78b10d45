"""Names and defaults, each with its reason.

Knows: numbers, names and shapes that a user may meet in the documentation. Must not know: anything else;
this module imports nothing, so that every package may import it.
"""

from __future__ import annotations

from typing import Final

# The name in the name server, and the object id: Pyro3 called its own service so.
EVENTSERVER_NAME: Final = "Pyro.EventService"

# Next to the name server's 9090 and 9091, and free in the IANA list of what Pyro users run.
DEFAULT_PORT: Final = 9095

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

# From here on, what avoids copying costs less than copying.
LARGE: Final = 64 * KIB
# One payload of our own codec. The service never opens it, so its size costs memory only. A camera's picture
# of 2048 x 2048 pixels of 16 bits is 8 MiB and a header.
MAX_MESSAGE: Final = 16 * MIB
# The most that a service can be told to take: a few of these fit into the total of all backlogs.
LARGEST_MESSAGE: Final = 256 * MIB
# One answer of the service: the statistics of thousands of subscribers, or the results of a Pyro batch.
MAX_REPLY: Final = 8 * MIB
# What a stock client may send in one call. 1 MiB of serpent holds the interpreter for 1.3 s,
# 64 KiB for 0.1 s, and nobody else is served meanwhile.
MAX_STOCK_CALL: Final = 64 * KIB
# A stranger's first frame carries an object id and a word; a subscriber's answer carries metadata.
MAX_HANDSHAKE: Final = 4 * KIB
MAX_HANDSHAKE_REPLY: Final = 64 * KIB
# Accepting, TLS and the first frame together; nats-server gives the same.
HANDSHAKE_TIMEOUT: Final = 2.0
# A frame, once begun, is complete within this many seconds or the connection ends.
FRAME_TIMEOUT: Final = 30.0

# What `unsubscribe` returns where others are told how many subscriptions are left.
NOT_KNOWN: Final = -1

# The longest subject a log line still shows well; a pattern is bounded alike.
MAX_SUBJECT: Final = 255
MAX_SUBJECTS_PER_CALL: Final = 1_000
MAX_SUBSCRIPTIONS: Final = 10_000
# RE2 program sizes: they bound what matching one subject can cost.
MAX_PATTERN_PROGRAM: Final = 1_000
MAX_SUBSCRIBER_PROGRAMS: Final = 20_000

# 100,000 small events are about ten seconds of the fastest publisher measured; 64 MiB is what
# nats-server keeps for a slow consumer.
BACKLOG_EVENTS: Final = 100_000
BACKLOG_BYTES: Final = 64 * MIB
# Everything the service holds for others: backlogs, calls held up, frames half read.
TOTAL_BACKLOG_BYTES: Final = GIB
# What an event takes in memory beside its payload and subject, in bytes; tests measure it. Its record, size,
# time stamp, and the head of its payload;
EVENT_OVERHEAD: Final = 192
# for each subscriber that holds it, its place in the backlog, and when it is in flight the row that is sent;
HOLDER_OVERHEAD: Final = 16
ROW_OVERHEAD: Final = 160
# the head of a text such as its subject; and its place among the newest of each subject (`latest`).
TEXT_OVERHEAD: Final = 64
LATEST_OVERHEAD: Final = 192

# A batch for `latest`, in seconds of its subscriber's work: the last of its events must not be old when its
# turn comes, and a call for each would cost more than the work of a fast one.
LATEST_SECONDS: Final = 0.02
# The log says that a subscriber is slow, or has caught up, when that has lasted so long.
SLOW_AFTER: Final = 1.0
CAUGHT_UP_AFTER: Final = 5.0

# A subscriber that was disconnected because it held up publishers cannot do so again for this long.
BLOCK_SUSPENSION: Final = 60.0
# How long a full backlog may hold up a publisher without one acknowledgement.
DELIVERY_DEADLINE: Final = 10.0
# A program that subscribes first and listens later is given this long.
FIRST_CONTACT: Final = 60.0
# A subscriber's connection outlives its last subscription by this, so that unsubscribing from
# one subject and subscribing to the next inside `event` costs nothing.
LINGER: Final = 5.0
# How long a service that is told to stop goes on delivering.
DRAIN: Final = 10.0

# Of clients, and of subscribers. One host may take half of each.
MAX_CONNECTIONS: Final = 10_000
# What names, patterns and the records of subscribers may take in memory. A host can have 10,000 patterns
# of usual size, or for 5,000 subscribers with a dozen names each.
TOTAL_SUBSCRIPTION_BYTES: Final = 256 * MIB
HOST_SUBSCRIPTION_BYTES: Final = 64 * MIB

# Names and patterns in one answer of statistics(): all of a few subscribers, five each of very many.
MAX_SUBJECTS_SHOWN: Final = 20_000

# An idle link is asked for a sign of life after HEARTBEAT seconds; three unanswered ones end it.
HEARTBEAT: Final = 15.0
HEARTBEAT_ANSWER: Final = 5.0
HEARTBEAT_TRIES: Final = 3

# A subscriber that was given up, and may not hear of it, is looked for this often and this long: two
# seconds after its line is back it shall be back too, and soon it asks how it stands by itself.
KNOCK_EVERY: Final = 1.0
KNOCK_FOR: Final = 60.0

# A batch of events: large enough that the cost of a call vanishes, small enough for a subscriber
# to acknowledge several times a second.
BATCH_EVENTS: Final = 1_000
BATCH_BYTES: Final = 256 * KIB
BATCH_SECONDS: Final = 0.5

# Nesting of a message: Python's own recursion limit is far above, a screen is far below.
MAX_DEPTH: Final = 64

# The embedded name server: Pyro5's own has no bounds. A name is no longer than a subject.
MAX_NAME: Final = 255
MAX_NAMES: Final = 10_000
MAX_NAME_BYTES: Final = 64 * MIB

# How often the service looks whether the name server still knows it; it must be told again
# within 5 s.
NAME_CHECK: Final = 2.0

# Characters of the expression that a pattern is translated to, which are read in the time of a step of an RE2
# program (0.8 µs): repeated no times, the costliest parts leave nothing in the program.
PATTERN_READING: Final = 8
# A pattern by itself: enough for twice the largest program allowed. RE2 gives up on a larger one
# after 3 ms; with its own 8 MiB that takes 76 ms.
PATTERN_MEMORY: Final = 256 * KIB

# Patterns are matched in sets. Compiling holds the interpreter lock: a full set takes 10 to 35 ms,
# and no publish may wait more than 50. A power of two, because sets grow by doubling.
SET_PATTERNS: Final = 1_024
SET_PROGRAM: Final = 40_000
# RE2's default: a full set needs 3 MiB to run at all, the rest caches what it has computed.
SET_MEMORY: Final = 8 * MIB
# What the smallest set has, beside its share of the above.
SET_MEMORY_LEAST: Final = 256 * KIB

# Subjects whose subscribers are remembered: more than the subjects of any installation we know,
# about 3 MiB. Together they remember at most this many subscribers (8 bytes each).
MATCH_CACHE_SUBJECTS: Final = 10_000
MATCH_CACHE_TARGETS: Final = 1_000_000

# The row of an event: what a subscriber is sent of it, in this order. A plain tuple, because one is made for
# each event and subscriber, and a class costs four times as much. A large payload may be a view of what was
# received.
EVENT_FIELDS: Final = ("subject", "time", "seq", "missed", "payload")
Payload = bytes | memoryview
EventRow = tuple[str, float, int, int | None, Payload]

# The key of a handshake, and the option of a subscribing call, by which a client says its name.
NAME_KEY: Final = "name"
# Clients whose names statistics shows: a page for a person, and at most 120 KiB of the answer.
MAX_CLIENTS_SHOWN: Final = 1_000
