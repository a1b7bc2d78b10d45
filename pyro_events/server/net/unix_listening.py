"""The Unix socket of a service, for clients of the same machine: where its file is, and who may use it.

Knows: folders, files, their owners and modes. Must not know: which clients connect, or what is said.

Only programs of the service's own user, and of root, can connect: the file has the mode 0600. It is made
under another name, and gets its own when somebody listens on it. So a file on which nobody listens is one
that a killed service has left, and can be removed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import socket
import stat
import tempfile
from dataclasses import dataclass
from typing import Final

from ...constants import UNIX_AUTO, UNIX_OFF
from ...log.background import get_logger
from ...wire.handshake.unix_offer import MAX_PATH

log = get_logger("pyro_events.service")

_NAME: Final = "pyro_events"
_ENDING: Final = ".sock"
# As for TCP (clients.py).
_ACCEPT_QUEUE: Final = 1024


@dataclass(frozen=True)
class UnixListener:
    """A listening Unix socket, and its file. number: of the file, by which it is known again."""

    sock: socket.socket
    path: str
    number: int

    def remove(self) -> None:
        """Remove the file, unless another one has its name by now."""
        with contextlib.suppress(OSError):
            if os.lstat(self.path).st_ino == self.number:
                os.unlink(self.path)


def listen_on_unix(wanted: str) -> UnixListener | None:
    """A listening Unix socket; None if there is none.

    wanted: UNIX_AUTO, UNIX_OFF, or a path. Raises OSError for a path that cannot be used; without one, the
    log says why there is none.
    """
    if wanted == UNIX_OFF or (wanted == UNIX_AUTO and not hasattr(socket, "AF_UNIX")):
        return None
    try:
        if wanted != UNIX_AUTO:
            return _listening(wanted)
        folder = _own_folder()
        _remove_left_over(folder)
        return _listening(os.path.join(folder, secrets.token_hex(8) + _ENDING))
    except OSError as error:
        if wanted == UNIX_AUTO:
            log.warning("there is no Unix socket, so clients of this machine too use TCP: %s", error)
            return None
        raise OSError(
            error.errno,
            f"the Unix socket {wanted} cannot be used ({error.strerror or error}); give another path, or "
            f"{UNIX_OFF} for none",
        ) from None


def _own_folder() -> str:
    """A folder that only this user can look into. Raises OSError if it is somebody else's."""
    user, runtime = os.geteuid(), os.environ.get("XDG_RUNTIME_DIR", "")
    folder = os.path.join(tempfile.gettempdir(), f"{_NAME}-{user}")
    with contextlib.suppress(OSError):
        if os.path.isabs(runtime) and os.stat(runtime).st_uid == user:
            folder = os.path.join(runtime, _NAME)
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user or found.st_mode & 0o077:
        raise OSError(
            errno.EPERM, f"{folder} is there already, and is not a folder of this user alone (mode 0700)"
        )
    return folder


def _remove_left_over(folder: str) -> None:
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        with contextlib.suppress(FileNotFoundError):  # another service that starts has removed it
            if name.endswith(_ENDING) and _is_socket(path) and not _has_listener(path):
                os.unlink(path)


def _listening(path: str) -> UnixListener:
    if not hasattr(socket, "AF_UNIX"):
        raise OSError(errno.EAFNOSUPPORT, "Python has no Unix sockets on this platform")
    if len(os.fsencode(path)) > MAX_PATH:
        raise OSError(errno.ENAMETOOLONG, f"its path is longer than {MAX_PATH} bytes")
    if not path.isprintable():
        raise OSError(errno.EINVAL, f"clients accept no path with such characters: {path!r}")
    if not os.path.isdir(os.path.dirname(path)):
        raise OSError(errno.ENOENT, f"there is no folder {os.path.dirname(path)}")
    if os.path.lexists(path):
        if not _is_socket(path):
            raise OSError(errno.EEXIST, "it is there already, and is not a socket")
        if _has_listener(path):
            raise OSError(errno.EADDRINUSE, "another program listens on it")
    made = os.path.join(os.path.dirname(path), f".{secrets.token_hex(2)}")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(made)
        try:
            os.chmod(made, 0o600)
            sock.listen(_ACCEPT_QUEUE)
            os.rename(made, path)
        except BaseException:
            os.unlink(made)
            raise
        sock.setblocking(False)
        return UnixListener(sock, path, os.lstat(path).st_ino)
    except BaseException:
        sock.close()
        raise


def _is_socket(path: str) -> bool:
    return stat.S_ISSOCK(os.lstat(path).st_mode)


def _has_listener(path: str) -> bool:
    """Whether somebody listens on a socket; also if that cannot be found out."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        return sock.connect_ex(path) not in (errno.ECONNREFUSED, errno.ENOENT)
