"""The Unix socket of a service: where its file is, who may use it, and what is removed."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from unix_sockets import STRANGER, root_only, unix_only

from pyro_events.server.net.unix_listening import listen_on_unix
from pyro_events.wire.handshake.unix_offer import MAX_PATH

pytestmark = unix_only


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short path: that of pytest's `tmp_path` may be too long for a socket."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        monkeypatch.setenv("XDG_RUNTIME_DIR", "")
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)


def mode(path: str | Path) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


def left_over(path: Path) -> None:
    """What a killed service leaves."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()


def test_a_folder_and_a_file_of_this_user_alone(folder: Path) -> None:
    listener = listen_on_unix("auto")
    assert listener is not None
    with listener.sock, socket.socket(socket.AF_UNIX) as client:
        path = Path(listener.path)
        assert path.parent == folder / f"pyro_events-{os.geteuid()}"
        assert (mode(path.parent), mode(path)) == (0o700, 0o600)
        client.connect(listener.path)
        assert os.listdir(path.parent) == [path.name]
        listener.remove()
        assert os.listdir(path.parent) == []
        listener.remove()


def test_each_service_has_a_file_of_its_own(folder: Path) -> None:
    one, two = listen_on_unix("auto"), listen_on_unix("auto")
    assert one is not None and two is not None
    with one.sock, two.sock:
        assert one.path != two.path and os.path.exists(one.path)


def test_the_users_own_runtime_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = folder / "run"
    runtime.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    listener = listen_on_unix("auto")
    assert listener is not None
    with listener.sock:
        assert Path(listener.path).parent == runtime / "pyro_events"


@pytest.mark.parametrize("runtime", ["relative", "/no/such/folder"])
def test_a_runtime_folder_that_is_not_there(
    folder: Path, runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    listener = listen_on_unix("auto")
    assert listener is not None
    with listener.sock:
        assert Path(listener.path).parent.parent == folder


def test_what_a_killed_service_has_left_is_removed(folder: Path) -> None:
    ours = folder / f"pyro_events-{os.geteuid()}"
    ours.mkdir(mode=0o700)
    left_over(ours / "old.sock")
    (ours / "notes.sock").write_text("not a socket")
    left_over(ours / "another")
    listener = listen_on_unix("auto")
    assert listener is not None
    with listener.sock:
        assert set(os.listdir(ours)) == {"notes.sock", "another", Path(listener.path).name}


def test_services_that_start_at_once_remove_what_is_left_together(folder: Path) -> None:
    ours = folder / f"pyro_events-{os.geteuid()}"
    ours.mkdir(mode=0o700)
    for number in range(300):
        left_over(ours / f"{number}.sock")
    with ThreadPoolExecutor(4) as pool:
        listeners = [each for each in pool.map(listen_on_unix, ["auto"] * 4) if each is not None]
    for listener in listeners:
        listener.sock.close()
    assert set(os.listdir(ours)) == {Path(listener.path).name for listener in listeners}
    assert len(listeners) == 4


def test_a_folder_that_others_may_look_into_is_not_used(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / f"pyro_events-{os.geteuid()}").mkdir()
    (folder / f"pyro_events-{os.geteuid()}").chmod(0o755)
    assert listen_on_unix("auto") is None
    assert "there is no Unix socket" in caplog.text and "mode 0700" in caplog.text


def test_a_link_is_not_used(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "elsewhere").mkdir(mode=0o700)
    (folder / f"pyro_events-{os.geteuid()}").symlink_to(folder / "elsewhere")
    assert listen_on_unix("auto") is None
    assert "not a folder of this user alone" in caplog.text and os.listdir(folder / "elsewhere") == []


@root_only
def test_a_strangers_folder_is_not_used(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    theirs = folder / "pyro_events-0"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, STRANGER, STRANGER)
    assert listen_on_unix("auto") is None
    assert "not a folder of this user alone" in caplog.text


def test_off(folder: Path) -> None:
    assert listen_on_unix("off") is None and os.listdir(folder) == []


def test_a_platform_without_unix_sockets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    assert listen_on_unix("auto") is None
    with pytest.raises(OSError, match="Python has no Unix sockets on this platform"):
        listen_on_unix(str(folder / "es.sock"))


def test_a_path_of_ones_choice(folder: Path) -> None:
    path = folder / "es.sock"
    left_over(path)
    listener = listen_on_unix(str(path))
    assert listener is not None and listener.path == str(path) and mode(path) == 0o600
    with listener.sock:
        with pytest.raises(OSError, match=r"es.sock cannot be used \(another program listens on it\)"):
            listen_on_unix(str(path))
        path.unlink()
        path.write_text("another")
        listener.remove()
        assert path.read_text() == "another"
    with pytest.raises(OSError, match=r"es.sock cannot be used \(it is there already, and is not a socket"):
        listen_on_unix(str(path))
    assert os.listdir(folder) == ["es.sock"]


def test_a_path_that_cannot_be(folder: Path) -> None:
    with pytest.raises(OSError, match="longer than 100 bytes"):
        listen_on_unix("/" + "x" * MAX_PATH)
    with pytest.raises(OSError, match=r"no/es.sock cannot be used \(there is no folder /.*/no\)"):
        listen_on_unix(str(folder / "no" / "es.sock"))


def test_a_folder_in_the_place_of_the_file(folder: Path) -> None:
    (folder / "es.sock").mkdir()
    with pytest.raises(OSError, match="not a socket"):
        listen_on_unix(str(folder / "es.sock"))
    assert os.listdir(folder) == ["es.sock"]


def test_a_socket_that_cannot_get_its_name_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*paths: str) -> None:
        raise PermissionError(1, "not permitted")

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(OSError, match=r"es.sock cannot be used \(not permitted\)"):
        listen_on_unix(str(folder / "es.sock"))
    assert os.listdir(folder) == []


@pytest.mark.parametrize("name", ["a\nb", "\udcff"])
def test_a_path_that_clients_do_not_accept(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A handshake with a lone surrogate could not even be written."""
    with pytest.raises(OSError, match="clients accept no path with such characters"):
        listen_on_unix(str(folder / name))
    monkeypatch.setattr(tempfile, "tempdir", str(folder / name))
    (folder / name).mkdir()
    assert listen_on_unix("auto") is None
    assert "clients accept no path with such characters" in caplog.text
