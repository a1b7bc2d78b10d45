"""Something at the place of a name server that answers what a test tells it to.

Knows: sockets. Must not know: what the answers mean.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from types import TracebackType


class FakeNameServer:
    """Answers each frame of a connection with the next of `answers`, and closes when there is none left.

    answers: bytes, or what makes them of the frame's bytes. pause: seconds between two bytes of an answer.
    """

    def __init__(self) -> None:
        self.answers: list[bytes | Callable[[bytes], bytes]] = []
        self.pause = 0.0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:  # it was shut down
                return
            with sock:
                sock.settimeout(10)
                try:
                    self._serve(sock)
                except OSError:  # the other side has left
                    continue

    def _serve(self, sock: socket.socket) -> None:
        for answer in list(self.answers):
            asked = sock.recv(65536)
            if not asked:
                return
            if callable(answer):
                answer = answer(asked)
            if not self.pause:
                sock.sendall(answer)
                continue
            for number in range(len(answer)):
                sock.sendall(answer[number : number + 1])
                if self._ended.wait(self.pause):
                    return

    def __enter__(self) -> FakeNameServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(15)
