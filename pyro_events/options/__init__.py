"""Options: frozen dataclasses, checked on construction and handed down."""

from .backlog_options import BacklogOptions, Overflow, OverflowName, check_count
from .service_options import ServiceOptions, chosen_options

__all__ = [
    "BacklogOptions",
    "Overflow",
    "OverflowName",
    "ServiceOptions",
    "check_count",
    "chosen_options",
]
