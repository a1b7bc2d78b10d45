"""The optional compiled form: with PYROEVENTS_COMPILE=1, mypyc compiles the hot modules to machine code.

Without the variable there is nothing to compile, and neither mypy nor a C compiler is needed. Everything else
about the package is in setup.cfg.
"""

from __future__ import annotations

import os
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any, Final

from setuptools import Distribution, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError, CompileError

VARIABLE: Final = "PYROEVENTS_COMPILE"
MYPYC: Final = "mypy>=1.16"

# A module is here because every event, or every call, answer or frame that carries events, passes through it,
# and because it was measured that this pays. All of them are one shared library, so that they call each other
# directly. What is not here gains nothing: it waits for the network, or runs once for each connection or
# subscription. The one that is never busy is version.py, which knows by its own file which form runs.
# tests/test_compiled_modules.py holds that each of them exists, and what must not be in them.
COMPILED: Final = (
    "pyro_events/aio/streaming/event_source.py",
    "pyro_events/broker/accounting.py",
    "pyro_events/broker/backlog.py",
    "pyro_events/broker/backlog_figures.py",
    "pyro_events/broker/broker.py",
    "pyro_events/broker/conflation.py",
    "pyro_events/broker/dropping.py",
    "pyro_events/broker/entries.py",
    "pyro_events/broker/event_queue.py",
    "pyro_events/broker/groups/distribution.py",
    "pyro_events/broker/groups/group_backlog.py",
    "pyro_events/broker/groups/offers.py",
    "pyro_events/broker/groups/waiting_events.py",
    "pyro_events/broker/matching/match_cache.py",
    "pyro_events/broker/matching/routing.py",
    "pyro_events/broker/matching/service_subjects.py",
    "pyro_events/broker/matching/subjects.py",
    "pyro_events/broker/publishing.py",
    "pyro_events/broker/retained/kept_event.py",
    "pyro_events/broker/retained/replay.py",
    "pyro_events/broker/retained/replaying.py",
    "pyro_events/broker/retained/reserved_space.py",
    "pyro_events/broker/retained/retention.py",
    "pyro_events/broker/retained/store.py",
    "pyro_events/client/connection/frame_socket.py",
    "pyro_events/client/daemon/batch_reader.py",
    "pyro_events/client/dispatch/batch.py",
    "pyro_events/client/dispatch/connection_queue.py",
    "pyro_events/client/dispatch/dispatcher.py",
    "pyro_events/client/dispatch/limits.py",
    "pyro_events/client/dispatch/workers.py",
    "pyro_events/client/own_connection/own_batches.py",
    "pyro_events/client/publishing/entry.py",
    "pyro_events/client/stream/inbox.py",
    "pyro_events/codec/message.py",
    "pyro_events/server/clients/call_queue.py",
    "pyro_events/server/clients/closable.py",
    "pyro_events/server/clients/connection.py",
    "pyro_events/server/clients/invoke.py",
    "pyro_events/server/engine.py",
    "pyro_events/server/interest/watcher_delivery.py",
    "pyro_events/server/limits/turn_reader.py",
    "pyro_events/server/subscribers/acknowledgement.py",
    "pyro_events/server/subscribers/callbacks/callback_delivery.py",
    "pyro_events/server/subscribers/delivery.py",
    "pyro_events/server/subscribers/heartbeat.py",
    "pyro_events/server/subscribers/own/own_delivery.py",
    "pyro_events/server/subscribers/pacing.py",
    "pyro_events/version.py",
    "pyro_events/wire/event_answers.py",
    "pyro_events/wire/event_batch.py",
    "pyro_events/wire/frames.py",
    "pyro_events/wire/large_body.py",
    "pyro_events/wire/large_payload.py",
    "pyro_events/wire/msgpack_pool.py",
    "pyro_events/wire/plain_data.py",
    "pyro_events/wire/publish_options.py",
    "pyro_events/wire/replies.py",
    "pyro_events/wire/requests.py",
)
# The types are checked by scripts/test. Here only a fault in them that mypyc cannot live with ends the build,
# and not what another release of mypy would like to be written differently.
_MYPY_OPTIONS: Final = ("--config-file=", "--ignore-missing-imports", "--follow-imports=silent")


def wanted(value: str | None) -> bool:
    """Whether to compile. value: of the variable. Exits if it means nothing."""
    if value not in (None, "", "0", "1"):
        raise SystemExit(f"{VARIABLE} is {value!r}: set it to 1 to compile the package, or to 0, or unset it")
    return value == "1"


def remove_extension_modules(folder: Path) -> None:
    """Remove those that an earlier build has left. One of a module that is no longer in the list would get
    into the package, hide its source, and not fit the others."""
    for suffix in EXTENSION_SUFFIXES:
        for old in folder.rglob(f"*{suffix}"):
            old.unlink(missing_ok=True)  # the suffixes overlap


class CompiledDistribution(Distribution):
    """A package for one platform. Its extension modules are not known before `build_ext` runs, because mypyc
    takes seconds to make their sources, and is not there while the build's requirements are asked for."""

    def has_ext_modules(self) -> bool:
        return True


class CompileModules(build_ext):
    """Compiles the modules above."""

    def run(self) -> None:
        if self.editable_mode:
            raise SystemExit(f"an editable installation runs the sources as they are: unset {VARIABLE}")
        from mypyc.build import mypycify

        remove_extension_modules(Path(self.build_lib))
        try:
            self.distribution.ext_modules = mypycify(
                [*_MYPY_OPTIONS, *COMPILED],
                opt_level="3",
                debug_level="0",
                target_dir=os.path.join(self.build_temp, "mypyc"),
                group_name="pyro_events",
            )
            # Another command, because options are only finalized once, and by the extension modules.
            command = build_ext(self.distribution)
            command.inplace = self.inplace
            command.ensure_finalized()
            command.run()
        except (BaseError, CCompilerError, OSError) as error:
            raise CompileError(
                f"{error}\n{VARIABLE}=1 needs a C compiler and the header files of Python (on Debian: "
                "apt-get install gcc python3-dev). Without the variable nothing is compiled, and everything "
                "works, only slower."
            ) from error


if __name__ == "__main__":
    compiling: dict[str, Any] = {
        "distclass": CompiledDistribution,
        "cmdclass": {"build_ext": CompileModules},
        "setup_requires": [MYPYC],
    }
    setup(**compiling if wanted(os.environ.get(VARIABLE)) else {})
