"""Certificates for tests, made once by the script of examples/tls, and Pyro5's settings for them.

Knows: the example and Pyro5's config. Must not know: which programs use TLS.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import Pyro5
import pytest
from Pyro5 import socketutil

EXAMPLE = Path(__file__).parent.parent / "examples" / "tls" / "make_certificates.py"

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl command")


@functools.cache
def maker() -> Any:
    """The example's script, as a module."""
    spec = importlib.util.spec_from_file_location("make_certificates", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def _directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="pyro_events-tls-")  # gone when the tests end


@functools.cache
def settings(name: str = "good") -> Mapping[str, str]:
    """Environment variables for mutual TLS: "good", or what is wrong with the certificates.

    "other": of another authority. "expired": of the good one. "named": the server's is good for
    "localhost" only, and for no address.
    """
    directory = Path(_directory().name) / name
    make = maker()
    if name in ("good", "other"):
        made: dict[str, str] = make.make(directory)
        return made
    shutil.copytree(Path(settings()["PYRO_SSL_CACERTS"]).parent, directory)
    if name == "expired":
        for kind in ("server", "client"):
            make.make_one(directory, kind, days=-1)
    elif name == "named":
        make.make_one(directory, "server", ["localhost"])
    return {
        variable: value.replace(f"{directory.parent}/good", str(directory))
        for variable, value in settings().items()
    }


def one_way(variables: Mapping[str, str]) -> dict[str, str]:
    """The same without certificates of clients."""
    unwanted = "PYRO_SSL_REQUIRECLIENTCERT", "PYRO_SSL_CLIENTCERT", "PYRO_SSL_CLIENTKEY"
    return {variable: value for variable, value in variables.items() if variable not in unwanted}


def _source(kind: str, name: str) -> str:
    # `settings("good")` would make them again: a cache tells it from `settings()`.
    return (settings() if kind == "good" else settings(kind))[name]


@contextlib.contextmanager
def renewable(directory: Path, side: str, first: str = "expired") -> Iterator[Callable[..., None]]:
    """Use certificates of `side`, SERVER or CLIENT, that are not good, in files of their own.

    Yields what puts others in their place, the good ones: all files, or those whose names end in `only`.
    """
    variables = dict(settings())
    names = [f"PYRO_SSL_{side}CERT", f"PYRO_SSL_{side}KEY"]
    for name in names:
        variables[name] = str(directory / Path(variables[name]).name)
        shutil.copy(_source(first, name), variables[name])
    use(variables)

    def renew(source: str = "good", only: str = "") -> None:
        for name in names:
            if name.endswith(only):
                path = variables[name]
                shutil.copy(_source(source, name), f"{path}.new")
                os.replace(f"{path}.new", path)

    yield renew
    use(settings())


def use(variables: Mapping[str, str]) -> None:
    """Have this program's Pyro5 use these settings from now on, and no others of TLS."""
    for name in [name for name in Pyro5.config.__slots__ if name.startswith("SSL")]:
        value = variables.get(f"PYRO_{name}", "")
        kept = getattr(Pyro5.config, name)
        setattr(Pyro5.config, name, value == "1" if isinstance(kept, bool) else value)
    # Pyro5 itself keeps its contexts for ever.
    for name in ("__ssl_server_context", "__ssl_client_context"):
        assert hasattr(socketutil, name)
        setattr(socketutil, name, None)
