"""The file is read again when that is asked for, off the loop; a wrong one changes nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Container
from pathlib import Path

import pytest

from pyro_events.server.permissions.permissions import Permissions
from pyro_events.server.permissions.reloading import ReadsPermissions, ReloadedPermissions


class Reading:
    """A file, its permissions, and what was applied of them: the rule of alice, and who was gone."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "laboratory.toml"
        self.write("ONE")
        self.may_read = threading.Event()
        self.may_read.set()
        self.reads = 0
        self.permissions = ReloadedPermissions(self.file, self.blocking)
        self.applied: list[tuple[tuple[str, ...], Container[str]]] = []
        self.changed = asyncio.Event()

    def write(self, rule: str, ident: str = "a") -> None:
        self.file.write_text(f'[users.alice]\nident = "{ident}"\npublish = ["{rule}"]\n')
        self.file.chmod(0o600)

    async def blocking(self, work: Callable[[], Permissions]) -> Permissions:
        self.reads += 1

        def read() -> Permissions:
            assert self.may_read.wait(10)
            return work()

        return await asyncio.get_running_loop().run_in_executor(None, read)

    def apply(self, permissions: Permissions, gone: Container[str]) -> None:
        self.applied.append((permissions.rights_of("alice").publish, gone))
        self.changed.set()

    async def wait(self) -> None:
        await asyncio.wait_for(self.changed.wait(), 10)
        self.changed.clear()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        async def poll() -> None:
            while not condition():
                await asyncio.sleep(0.005)

        await asyncio.wait_for(poll(), 10)


def test_it_is_read_again_and_applied(tmp_path: Path) -> None:
    async def main() -> None:
        reading = Reading(tmp_path)
        reading.permissions.begin(reading.apply)
        reading.write("OTHER")
        threading.Thread(target=reading.permissions.request).start()
        await reading.wait()
        reading.write("OTHER", ident="b")
        reading.permissions.request()
        await reading.wait()
        assert reading.applied == [(("OTHER",), frozenset()), (("OTHER",), frozenset({"alice"}))]
        assert reading.permissions.current is not None
        assert reading.permissions.current.rights_of("alice").publish == ("OTHER",)

    asyncio.run(main())


def test_what_is_asked_for_before_the_start_is_read_at_the_start(tmp_path: Path) -> None:
    async def main() -> None:
        reading = Reading(tmp_path)
        reading.write("OTHER")
        reading.permissions.request()
        reading.permissions.begin(reading.apply)
        await reading.wait()
        assert reading.applied == [(("OTHER",), frozenset())]

    asyncio.run(main())


def test_what_changes_while_it_is_read_is_read_once_more(tmp_path: Path) -> None:
    async def main() -> None:
        reading = Reading(tmp_path)
        reading.permissions.begin(reading.apply)
        reading.may_read.clear()
        reading.permissions.request()
        await reading.wait_until(lambda: reading.reads == 1)
        for _ in range(3):
            reading.permissions.request()
        reading.may_read.set()
        await reading.wait_until(lambda: len(reading.applied) == 2)
        assert reading.reads == 2

    asyncio.run(main())


def test_a_wrong_file_leaves_what_was_and_says_where_it_is_wrong(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        reading = Reading(tmp_path)
        reading.permissions.begin(reading.apply)
        before = reading.permissions.current
        reading.file.write_text("[users.alice]\n")
        reading.permissions.request()
        await reading.wait_until(lambda: "stay as they were" in caplog.text)
        assert reading.permissions.current is before and not reading.applied
        reading.write("OTHER")
        reading.permissions.request()
        await reading.wait()

    asyncio.run(main())
    assert caplog.text.count("stay as they were") == 1
    assert "laboratory.toml: [users.alice]: it has neither ident nor ident_file" in caplog.text


def test_after_the_end_nothing_is_read(tmp_path: Path) -> None:
    async def main() -> Reading:
        reading = Reading(tmp_path)
        reading.permissions.begin(reading.apply)
        reading.may_read.clear()
        reading.permissions.request()
        await reading.wait_until(lambda: reading.reads == 1)
        reading.permissions.end()
        reading.permissions.request()
        reading.may_read.set()
        return reading

    reading = asyncio.run(main())
    reading.permissions.request()
    assert reading.reads == 1 and not reading.applied


def test_a_request_after_the_loop_was_closed_does_nothing(tmp_path: Path) -> None:
    async def main() -> Reading:
        reading = Reading(tmp_path)
        reading.permissions.begin(reading.apply)
        return reading

    asyncio.run(main()).permissions.request()


class Service(ReadsPermissions):
    def __init__(self, permissions: ReloadedPermissions) -> None:
        self._permissions = permissions


def test_only_a_service_with_permissions_has_something_to_do_on_hangup(tmp_path: Path) -> None:
    async def main() -> None:
        reading = Reading(tmp_path)
        service = Service(reading.permissions)
        reading.permissions.begin(reading.apply)
        assert service.on_hangup is not None
        service.on_hangup()
        await reading.wait()
        without = Service(ReloadedPermissions(None, reading.blocking))
        assert without.on_hangup is None
        without.reload_permissions()
        assert reading.reads == 1

    asyncio.run(main())


def test_a_file_that_cannot_be_used_raises_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="it is not TOML"):
        Reading(tmp_path).permissions.__class__(tmp_path / "file", None)  # type: ignore[arg-type]
