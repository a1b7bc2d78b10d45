"""Docstrings in Google's style: read, and held against what they describe.

Knows: how their sections are written, and how Python tells about functions and classes. Must not know: the
package whose docstrings they are.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_SECTIONS = ("Args", "Attributes", "Returns", "Raises", "Example")
_HEADING = re.compile(rf"^({'|'.join(_SECTIONS)}):$")
_ENTRY = re.compile(r"^    (\S.*?):(?: (.*))?$")
# What a parameter's text says about its default, if it has one.
_DEFAULT = re.compile(r"(?i)\b(default|None|False|True)\b")


class Docstring:
    """The sections of one docstring."""

    def __init__(self, text: str | None) -> None:
        lines = inspect.cleandoc(text or "").splitlines()
        self.summary = lines[0] if lines else ""
        self.sections: dict[str, list[str]] = {}
        # Headings that stand in a line with their text, or twice.
        self.faults = [line for line in lines if re.match(rf"({'|'.join(_SECTIONS)}|Examples): ", line)]
        current: list[str] | None = None
        for line in lines:
            heading = _HEADING.match(line)
            if heading is not None:
                if heading.group(1) in self.sections:
                    self.faults.append(f"two sections {heading.group(1)}")
                current = self.sections[heading.group(1)] = []
            elif line and not line.startswith(" "):
                current = None
            elif current is not None:
                current.append(line)

    def has(self, section: str) -> bool:
        """Whether there is a section with something in it."""
        return any(line.strip() for line in self.sections.get(section, ()))

    def entries(self, section: str) -> dict[str, str]:
        """What a section says of each name in it."""
        found: dict[str, str] = {}
        name = ""
        for line in self.sections.get(section, ()):
            entry = _ENTRY.match(line)
            if entry is not None:
                name, text = entry.group(1), entry.group(2) or ""
                found[name] = text
            elif name:
                found[name] = f"{found[name]} {line.strip()}".strip()
        return found


def members(cls: type, package: str) -> Iterator[tuple[str, Any]]:
    """The public members of a class that a package has defined, by their names."""
    seen: set[str] = set()
    for base in cls.__mro__:
        for name, value in vars(base).items():
            if name not in seen and not name.startswith("_"):
                seen.add(name)
                if f"{base.__module__}.".startswith(f"{package}."):
                    yield name, value


def function_faults(function: Callable[..., Any], raises_nothing: bool = False) -> list[str]:
    """What is missing in the docstring of a function or a method."""
    doc = Docstring(function.__doc__)
    faults = list(doc.faults)
    if not doc.summary:
        return ["it has no docstring"]
    signature = inspect.signature(function)
    parameters = {
        name: each
        for name, each in signature.parameters.items()
        if name not in ("self", "cls") or each.default is not each.empty
    }
    faults += _parameter_faults(parameters, doc.entries("Args"))
    if signature.return_annotation not in (None, "None", signature.empty) and not doc.has("Returns"):
        faults.append("it does not say what it returns")
    if raises_nothing == doc.has("Raises"):
        faults.append(
            "it says what it raises, and is listed as raising nothing" if raises_nothing else _RAISES
        )
    return faults


_RAISES = "it does not say what it raises"


def _parameter_faults(parameters: dict[str, inspect.Parameter], said: dict[str, str]) -> list[str]:
    faults = [f"it does not say what {name} is" for name in parameters if not said.get(name)]
    faults += [f"it has no parameter {name}" for name in said if name not in parameters]
    return faults + [
        f"it does not say what {name} is by default"
        for name, parameter in parameters.items()
        if parameter.default is not parameter.empty and said.get(name) and not _DEFAULT.search(said[name])
    ]


def class_faults(cls: type, package: str) -> list[str]:
    """What is missing in the docstring of a class itself, its methods and its bases left aside."""
    doc = Docstring(vars(cls).get("__doc__"))
    if not doc.summary:
        return ["it has no docstring"]
    faults = list(doc.faults)
    if ">>> " not in "\n".join(doc.sections.get("Example", ())):
        faults.append("it has no example")
    said = {**doc.entries("Attributes"), **(doc.entries("Args") if dataclasses.is_dataclass(cls) else {})}
    attributes = set(_attributes(cls))
    faults += [f"it does not say what {name} is" for name in sorted(attributes) if not said.get(name)]
    # What `__init__` takes is an attribute most of the time.
    known = attributes | {name for name, _ in members(cls, package)} | set(_parameters(cls))
    return faults + [f"it has no attribute {name}" for name in said if name not in known]


def _attributes(cls: type) -> Iterator[str]:
    """The public attributes of its instances that it defines and that are not methods or properties."""
    if dataclasses.is_dataclass(cls):
        yield from (field.name for field in dataclasses.fields(cls))
    for name, value in vars(cls).items():
        is_member = issubclass(cls, enum.Enum) and name in cls.__members__
        plain = inspect.ismemberdescriptor(value) or not (callable(value) or hasattr(type(value), "__get__"))
        if not name.startswith("_") and (is_member or plain):
            yield name


def _parameters(cls: type) -> Iterable[str]:
    try:
        return inspect.signature(cls).parameters
    except ValueError:  # written in C, and does not say
        return ()
