"""Names and defaults, each with its reason.

Knows: numbers, names and shapes that a user may meet in the documentation. Must not know: anything else;
this module imports nothing, so that every package may import it.
"""

from __future__ import annotations

from typing import Any, Final

# The name in the name server, and the object id; the same as Pyro3's.
EVENTSERVER_NAME: Final = "Pyro.EventService"

# The variable in the environment that says where the service is, for clients whose program does not say it.
ES_URI_VARIABLE: Final = "PYROEVENTS_ES_URI"

# Also the variable of the service's option --unix-socket, so that one setting switches both sides off.
UNIX_SOCKET_VARIABLE: Final = "PYROEVENTS_UNIX_SOCKET"
# What that option may be, besides a path: a path of the service's choice, or no Unix socket.
UNIX_AUTO: Final = "auto"
UNIX_OFF: Final = "off"

# Next to the name server's 9090 and 9091, and not used by anything that Pyro users commonly run.
DEFAULT_PORT: Final = 9095

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

# For payloads of at least this size, avoiding a copy costs less than the copy.
LARGE: Final = 64 * KIB
# One payload of our own codec. The service never opens it, so its size costs memory only. A camera's picture
# of 2048 x 2048 pixels of 16 bits is 8 MiB and a header.
MAX_MESSAGE: Final = 16 * MIB
# The largest value of max_message: a few such messages fit into the total of all backlogs.
LARGEST_MESSAGE: Final = 256 * MIB
# One answer of the service: the statistics of thousands of subscribers, or the results of a Pyro batch.
MAX_REPLY: Final = 8 * MIB
# The largest call of a stock client. 1 MiB of serpent holds the interpreter for 1.3 s, 64 KiB for 0.1 s, and
# nothing else is served in that time.
MAX_STOCK_CALL: Final = 64 * KIB
# A stranger's first frame contains an object id and little else; a subscriber's answer contains metadata.
MAX_HANDSHAKE: Final = 4 * KIB
MAX_HANDSHAKE_REPLY: Final = 64 * KIB
# For accepting, TLS and the first frame together; nats-server allows the same.
HANDSHAKE_TIMEOUT: Final = 2.0
# A frame that has begun must be complete within this many seconds, or the connection ends.
FRAME_TIMEOUT: Final = 30.0

# The result of `unsubscribe` if the subscriber is not known; otherwise it is how many subscriptions are left.
NOT_KNOWN: Final = -1

# The longest subject that fits well into a line of the log; patterns have the same limit.
MAX_SUBJECT: Final = 255
MAX_SUBJECTS_PER_CALL: Final = 1_000
MAX_SUBSCRIPTIONS: Final = 10_000
# RE2 program sizes: they limit the cost of matching one subject.
MAX_PATTERN_PROGRAM: Final = 1_000
MAX_SUBSCRIBER_PROGRAMS: Final = 20_000

# 100,000 small events are about ten seconds of the fastest publisher measured; 64 MiB is what nats-server
# keeps for a slow consumer.
BACKLOG_EVENTS: Final = 100_000
BACKLOG_BYTES: Final = 64 * MIB
# The same for a background publisher's queue: a second of a busy instrument, or an hour of one that publishes
# three times a second; and eight pictures of a camera with 2048 x 2048 pixels of 16 bits.
BACKGROUND_EVENTS: Final = 10_000
BACKGROUND_BYTES: Final = 64 * MIB
# The last values that are kept: of as many subjects as the match cache has space for, 6 KiB for each.
MAX_RETAINED: Final = 10_000
MAX_RETAINED_BYTES: Final = 64 * MIB
# Everything that the service holds for others: backlogs, blocked calls, half-read frames.
TOTAL_BACKLOG_BYTES: Final = GIB
# The memory of an event in addition to its payload and subject, in bytes; tests measure it. For its record,
# size, time stamp, and the head of its payload;
EVENT_OVERHEAD: Final = 192
# for each subscriber that holds it: its place in the backlog, and the row that is sent while it is in flight;
HOLDER_OVERHEAD: Final = 16
ROW_OVERHEAD: Final = 160
# for the head of a text such as its subject; and for its place among the newest of each subject (`latest`).
TEXT_OVERHEAD: Final = 64
LATEST_OVERHEAD: Final = 192

# for its place among the last values, and in the index of their subjects.
RETAINED_OVERHEAD: Final = 512

# How many subjects are remembered as matching patterns of subscribers that want last values, about 70 bytes
# each.
RETAINED_MATCHES: Final = 200_000

# A batch for `latest`, in seconds of its subscriber's work. The last of its events must not be old when its
# turn comes, and a call for each event would cost more than the work of a fast subscriber.
LATEST_SECONDS: Final = 0.02
# The log says that a subscriber is slow, or has caught up, after so many seconds.
SLOW_AFTER: Final = 1.0
CAUGHT_UP_AFTER: Final = 5.0

# A subscriber that was disconnected because it blocked publishers cannot block again for this long.
BLOCK_SUSPENSION: Final = 60.0
# How long a full backlog may block a publisher without one acknowledgement.
DELIVERY_DEADLINE: Final = 10.0
# How long a program that subscribes first may take until it listens.
FIRST_CONTACT: Final = 60.0
# A subscriber's connection outlives its last subscription by this time, so that unsubscribing from one
# subject and subscribing to the next inside `event` costs nothing.
LINGER: Final = 5.0
# How long a service that is told to stop goes on delivering.
DRAIN: Final = 10.0

# Limits on clients, and on subscribers. One host may have half of each.
MAX_CONNECTIONS: Final = 10_000
# The memory for names, patterns and the records of subscribers. A host can have 10,000 patterns of usual
# size, or 5,000 subscribers with a dozen names each.
TOTAL_SUBSCRIPTION_BYTES: Final = 256 * MIB
HOST_SUBSCRIPTION_BYTES: Final = 64 * MIB

# Names and patterns in one answer of statistics(): all of them for few subscribers, five each for very many.
MAX_SUBJECTS_SHOWN: Final = 20_000

# An idle subscriber is sent a heartbeat after HEARTBEAT seconds; it is disconnected after three unanswered
# ones.
HEARTBEAT: Final = 15.0
HEARTBEAT_ANSWER: Final = 5.0
HEARTBEAT_TRIES: Final = 3

# A subscriber that was disconnected, and may not have learned of it, gets a hint at this interval, for this
# long. Goal: resubscribed within two seconds of the network's return. After that time it asks by itself.
HINT_INTERVAL: Final = 1.0
HINT_DURATION: Final = 60.0

# A batch of events: large enough to make the cost of a call negligible, small enough for a subscriber to
# acknowledge several times a second.
BATCH_EVENTS: Final = 1_000
BATCH_BYTES: Final = 256 * KIB
BATCH_SECONDS: Final = 0.5

# The deepest nesting of a message: far below Python's own recursion limit, and far more than anybody can
# read.
MAX_DEPTH: Final = 64

# The embedded name server has limits; Pyro5's own has none. A name has the same limit as a subject.
MAX_NAME: Final = 255
MAX_NAMES: Final = 10_000
MAX_NAME_BYTES: Final = 64 * MIB

# How often the service checks its entry in the name server; a lost entry must be back within 5 s.
NAME_CHECK: Final = 2.0

# How many characters of a translated pattern are read in the time of one step of an RE2 program (0.8 µs). It
# matters for expensive parts with zero repetitions, which leave nothing in the program.
PATTERN_READING: Final = 8
# RE2's memory for one pattern: enough for twice the largest program allowed. RE2 gives up on a larger one
# after 3 ms; with its default of 8 MiB that takes 76 ms.
PATTERN_MEMORY: Final = 256 * KIB

# Patterns are matched in sets. Compiling holds the interpreter lock: a full set takes 10 to 35 ms, and no
# publish may wait more than 50 ms. A power of two, because sets grow by doubling.
SET_PATTERNS: Final = 1_024
SET_PROGRAM: Final = 40_000
# RE2's default. A full set needs 3 MiB to run at all; the rest caches computed states.
SET_MEMORY: Final = 8 * MIB
# The memory of the smallest set, in addition to its share of the above.
SET_MEMORY_LEAST: Final = 256 * KIB

# For how many subjects the subscribers are remembered: more subjects than any known installation has, about 3
# MiB. Together they remember at most this many subscribers (8 bytes each).
MATCH_CACHE_SUBJECTS: Final = 10_000
MATCH_CACHE_TARGETS: Final = 1_000_000

# The row of an event: its parts in the order in which a subscriber gets them. A plain tuple, because one is
# made for each event and subscriber, and a class costs four times as much. A large payload may be a view of
# what was received. The row of a last value has one more part, RETAINED, which is True.
EVENT_FIELDS: Final = ("subject", "time", "seq", "missed", "payload")
RETAINED: Final = "retained"
Payload = bytes | memoryview
EventRow = tuple[str, float, int, int | None, Payload] | tuple[str, float, int, int | None, Payload, bool]
# A row that has come from a service: nobody has looked at what is in its fields. Compiled code checks every
# type that is named, and would raise a TypeError of its own.
ReceivedRow = tuple[Any, ...]

# `poll` waits 24 days at most, so a wait of this many seconds or more, such as `math.inf`, has no limit.
LONGEST_WAIT: Final = 1_000_000.0

# The key in a handshake, and the option of a subscribing call, by which a client gives its name.
NAME_KEY: Final = "name"
# The options of a subscribing call that are not of the backlog: whether what is kept of the subjects comes
# first, the group that the subscriber is in, and how many events a member may have unacknowledged.
LAST_KEY: Final = "last"
# Beside `last`, by a subscriber that subscribes again: only of what it is not subscribed to.
LAST_OF_NEW_KEY: Final = "last_of_new"
# Patterns that are subscribed to together with names: what is kept of a subject that matches both ways comes
# once.
MATCH_KEY: Final = "match"
GROUP_KEY: Final = "group"
AHEAD_KEY: Final = "ahead"
# Of a call that subscribes again to what was subscribed before: a name that is not allowed any more is no
# reason to refuse the others.
AGAIN_KEY: Final = "again"
# How many clients' names statistics shows: a page for a person, and at most 120 KiB of the answer.
MAX_CLIENTS_SHOWN: Final = 1_000
