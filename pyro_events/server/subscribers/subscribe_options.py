"""Subscribe options: what a subscribing call asks for in addition to its names or patterns.

Knows: the options that are not of the backlog, and what each may be. Must not know: the options of a backlog
(options/backlog_options.py does), subscribers, or how a call arrived.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ...broker.retained.last import Last
from ...client_name import checked_client_name
from ...constants import AGAIN_KEY, AHEAD_KEY, GROUP_KEY, LAST_KEY, LAST_OF_NEW_KEY, MATCH_KEY, NAME_KEY
from ...options.backlog_options import check_count, check_last_and_group, checked_group
from ...wire.handshake.proofs import CALL_OPTION
from ...wire.own_connection import FALLS_BACK

# The option of a subscribing call by which a subscriber says that it has lost the service's connection.
ANEW_OPTION: Final = "anew"
_OURS: Final = frozenset(
    {
        CALL_OPTION,
        ANEW_OPTION,
        NAME_KEY,
        FALLS_BACK,
        LAST_KEY,
        LAST_OF_NEW_KEY,
        MATCH_KEY,
        GROUP_KEY,
        AHEAD_KEY,
        AGAIN_KEY,
    }
)


class SubscribeOptions(NamedTuple):
    """The options of a subscribing call. options: for its backlog, not checked yet. call: the nonce of the
    call, None if it had none. anew: whether to connect even if there is a delivery. name: what the subscriber
    calls itself, "" if it did not say. falls_back: whether it connects itself if the service cannot. last:
    for which of the subjects what is kept comes first. group: that it is a member of, "" if it did not say.
    ahead: how many events it may have unacknowledged as a member, 0 if it did not say. match: patterns that
    are subscribed to together with the names of the call, not checked yet."""

    options: Any
    call: Any = None
    anew: bool = False
    name: str = ""
    falls_back: bool = False
    last: Last = Last.NONE
    group: str = ""
    ahead: int = 0
    match: Any = ()


def read_options(options: Any) -> SubscribeOptions:
    """The options of a subscribing call, ours and those of its backlog separately.

    Raises TypeError or ValueError for one of ours that cannot be.
    """
    if not isinstance(options, Mapping):
        return SubscribeOptions(options)
    rest = {name: value for name, value in options.items() if name not in _OURS}
    given, last = options.get(NAME_KEY), options.get(LAST_KEY)
    group, ahead = options.get(GROUP_KEY), options.get(AHEAD_KEY)
    if last is not None and not isinstance(last, bool):
        raise TypeError(f"{LAST_KEY} must be True or False, not {type(last).__name__}")
    if ahead is not None:
        check_count(AHEAD_KEY, ahead, 1)
    read = SubscribeOptions(
        rest,
        call=options.get(CALL_OPTION),
        anew=bool(options.get(ANEW_OPTION)),
        name="" if given is None else checked_client_name(given),
        falls_back=bool(options.get(FALLS_BACK)),
        last=_last(bool(last), bool(options.get(LAST_OF_NEW_KEY))),
        group="" if group is None else checked_group(group),
        ahead=ahead or 0,
        match=options.get(MATCH_KEY, ()),
    )
    check_last_and_group(read.last is not Last.NONE, read.group)
    return read


def _last(wanted: bool, again: bool) -> Last:
    if not wanted:
        return Last.NONE
    return Last.OF_NEW if again else Last.OF_ALL
