"""The file with the permissions: TOML, read strictly.

Knows: which tables and keys the file may have, and how a mistake in it is reported. Must not know: what the
rights mean, or what a service does with them.

The file contains passphrases. So whatever is read is wrapped at once, and errors show the names of tables and
keys and the rules for subjects, nothing else.
"""

from __future__ import annotations

import errno
import os
import reprlib
import stat
import sys
from collections.abc import Iterator
from typing import Final, NamedTuple

from ...broker.matching.rights import Rights
from ...log.background import get_logger
from ...options.backlog_options import checked_group
from ...passphrase_file import Opener, read_passphrase
from ...secret import Passphrase
from ...wire.handshake.passphrase import checked_user

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["PermissionsFileError", "Reading", "read_permissions"]

log = get_logger("pyro_events.permissions")

# The largest file, in bytes, and the most users in it: each takes 50 ms of one processor when a service
# starts.
_LARGEST: Final = 1024 * 1024
_MOST_USERS: Final = 1_000

_RULES: Final = ("publish", "subscribe")
_SWITCHES: Final = ("block", "admin")
_RIGHTS: Final = (*_RULES, "groups", *_SWITCHES)
_IDENT: Final = ("ident", "ident_file")

# How every error begins, so that one can tell what the file is that it names.
_FILE: Final = "permissions file"


class PermissionsFileError(ValueError):
    """A file with permissions cannot be used. The text is one line that says where and why."""


class Reading(NamedTuple):
    """What a file says. default: the rights of clients that name no user. users: the passphrase and the
    rights of each."""

    default: Rights
    users: dict[str, tuple[Passphrase, Rights]]


def read_permissions(path: str, again: bool = False) -> Reading:
    """Read a file. Logs a warning if everybody on this machine can read passphrases in it.

    again: it has been read before. Then pipes are refused: a service could wait for ever for somebody who
    writes to one, and would never read its permissions again. When it starts, its user waits too, and may
    want a pipe.

    Raises PermissionsFileError, and no other error for what is in the file.
    """
    opener = _open_regular if again else None
    read = _parsed(path, opener)
    if isinstance(read, str):
        raise PermissionsFileError(f"{_FILE} {_shown(path)}: {read}")
    return _File(path, read, opener).reading()


def _open_regular(path: str, flags: int) -> int:
    """Open a file as `open` does, but only a regular one, and without waiting."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
    raise OSError(number, os.strerror(number) if stat.S_ISDIR(mode) else "it is not a regular file")


def _parsed(path: str, opener: Opener | None) -> Passphrase | str:
    """The document, wrapped; or why there is none. It raises nothing, because errors and their tracebacks
    may contain what was read."""
    try:
        with open(path, "rb", opener=opener) as file:
            content = Passphrase(file.read(_LARGEST + 1))
        if len(content.reveal()) > _LARGEST:
            return f"it is larger than {_LARGEST // 1024} KiB"
        return Passphrase(tomllib.loads(content.reveal().decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        return f"it is not UTF-8 text ({error.reason} at byte {error.start})"
    except tomllib.TOMLDecodeError as error:
        return f"it is not TOML: {_first_line(error)}"
    except RecursionError:
        return "it is not TOML: its values are nested too deeply"
    except OSError as error:
        return error.strerror or str(error)
    except ValueError as error:  # a path with a null byte
        return str(error)


def _first_line(error: Exception) -> str:
    """What is wrong with a document, and where: "Invalid value (at line 3, column 9)"."""
    text = (str(error).splitlines() or [""])[0]
    return "".join(character if character.isprintable() else "?" for character in text)


class _File:
    """A file while it is checked. Every value in it stays wrapped until it is known to be no passphrase."""

    def __init__(self, path: str, document: Passphrase, opener: Opener | None) -> None:
        self._path = path
        self._opener = opener
        self._document = document
        self._inline = False

    def reading(self) -> Reading:
        """What it says. Raises PermissionsFileError."""
        self._check_keys(self._document, "", ("default", "users"))
        default, users = self._table(self._document, "", "default"), self._table(self._document, "", "users")
        self._check_keys(default, "[default]", _RIGHTS)
        if len(users.reveal()) > _MOST_USERS:
            raise self._error("[users]", f"there are more than {_MOST_USERS:,} users")
        read = {name: self._user(users, name) for name in users.reveal()}
        if self._inline:
            self._warn_if_readable(self._path)
        return Reading(self._rights(default, "[default]"), read)

    def _user(self, users: Passphrase, name: str) -> tuple[Passphrase, Rights]:
        where = f"[users.{name}]" if name and name.isprintable() else f"[users.{name!r}]"
        if not name:
            raise self._error(where, "a user's name is empty")
        try:
            checked_user(name)
        except ValueError as error:
            raise self._error(where, str(error)) from None
        if not isinstance(users.reveal()[name], dict):
            raise self._error(where, f"write [users.{name}] above the keys of a user: this is not a table")
        entry = Passphrase(users.reveal()[name])
        self._check_keys(entry, where, (*_IDENT, *_RIGHTS))
        return self._ident(entry, where), self._rights(entry, where)

    def _ident(self, entry: Passphrase, where: str) -> Passphrase:
        given = [key for key in _IDENT if key in entry.reveal()]
        if len(given) != 1:
            what = "both ident and ident_file" if given else "neither ident nor ident_file"
            raise self._error(where, f"it has {what}: a user has one of them")
        key = given[0]
        value = Passphrase(entry.reveal()[key])
        if not isinstance(value.reveal(), str):
            raise self._error(where, f"{key} must be text in quotes, not {_kind(value)}")
        if not value.reveal().strip():
            raise self._error(where, f"{key} is empty")
        if key == "ident":
            self._inline = True
            return value
        file = os.path.join(os.path.dirname(self._path), value.reveal())
        found = read_passphrase(file, self._opener)
        if isinstance(found, str):
            raise self._error(
                where, f"ident_file: the passphrase cannot be read from {_shown(file)}: {found}"
            )
        self._warn_if_readable(file)
        return found

    def _rights(self, entry: Passphrase, where: str) -> Rights:
        texts = {key: tuple(self._texts(entry, where, key)) for key in (*_RULES, "groups")}
        for key in _RULES:
            self._check_rules(texts[key], f"{where} {key}")
        for group in texts["groups"]:
            if group.startswith("!") or not {*"*?["}.isdisjoint(group):
                raise self._error(where, f"groups: {group!r} is a pattern: groups are named one by one")
            try:
                checked_group(group)
            except ValueError as error:
                raise self._error(where, f"groups: {error}") from None
        switches = {key: Passphrase(entry.reveal().get(key, False)) for key in _SWITCHES}
        for key, value in switches.items():
            if not isinstance(value.reveal(), bool):
                raise self._error(where, f"{key} must be true or false, not {_kind(value)}")
        return Rights(
            publish=texts["publish"],
            subscribe=texts["subscribe"],
            groups=frozenset(texts["groups"]),
            block=switches["block"].reveal(),
            admin=switches["admin"].reveal(),
        )

    def _texts(self, entry: Passphrase, where: str, key: str) -> Iterator[str]:
        value = Passphrase(entry.reveal().get(key, []))
        if not isinstance(value.reveal(), list):
            example = "workers" if key == "groups" else "LAB.*"
            raise self._error(
                where, f'{key} must be a list, such as {key} = ["{example}"], not {_kind(value)}'
            )
        for each in map(Passphrase, value.reveal()):
            if not isinstance(each.reveal(), str):
                raise self._error(where, f"{key} must contain texts in quotes, not {_kind(each)}")
            if not each.reveal():
                raise self._error(where, f"{key} contains an empty text")
            yield each.reveal()

    def _check_rules(self, rules: tuple[str, ...], where: str) -> None:
        for rule in rules:
            try:
                Rights(publish=(rule,))
            except ValueError as error:
                shown = reprlib.repr(rule)
                raise self._error(where, f"the rule {shown} cannot be used: {error}") from None
            if _looks_wrong(rule):
                log.warning(
                    "%s %s: %s: is the rule %r meant so? It is a name or a shell-style pattern, not a "
                    "regular expression, and ^, $, backslashes and spaces in it stand for themselves",
                    _FILE,
                    _shown(self._path),
                    where,
                    rule,
                    about=(self._path, where, rule),
                )

    def _check_keys(self, entry: Passphrase, where: str, known: tuple[str, ...]) -> None:
        for key in entry.reveal():
            if key not in known:
                what = f"unknown key {key!r}" if where else f"unknown table or key {key!r} at the top"
                raise self._error(where, f"{what}; there are {', '.join(known)}")

    def _table(self, entry: Passphrase, where: str, key: str) -> Passphrase:
        table = Passphrase(entry.reveal().get(key, {}))
        if not isinstance(table.reveal(), dict):
            raise self._error(where, f"{key} must be a table, not {_kind(table)}: write [{key}]")
        return table

    def _error(self, where: str, what: str) -> PermissionsFileError:
        place = f"{_FILE} {_shown(self._path)}"
        return PermissionsFileError(f"{place}: {where}: {what}" if where else f"{place}: {what}")

    @staticmethod
    def _warn_if_readable(path: str) -> None:
        try:
            mode = os.stat(path).st_mode
        except OSError:  # it was there a moment ago; what was read from it counts
            return
        if os.name == "posix" and mode & stat.S_IROTH:
            log.warning(
                "every user of this machine can read the passphrases in %s: chmod o-r",
                _shown(path),
                about=path,
            )


def _looks_wrong(rule: str) -> bool:
    """Whether a rule seems to be a regular expression, or to have a space too many: such a rule matches
    nothing, and one that is meant to deny something would not."""
    text = rule.removeprefix("!")
    return text.startswith("^") or text.endswith("$") or "\\" in text or text != text.strip()


def _kind(value: Passphrase) -> str:
    """The TOML word for the type of a value."""
    names = {
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "a table",
    }
    return names.get(type(value.reveal()), "a date or a time")


def _shown(path: str) -> str:
    return path if path.isprintable() else ascii(path)
