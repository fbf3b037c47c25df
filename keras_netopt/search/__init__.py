"""Hyperparameter search; names are loaded when they are first used."""

import importlib
from typing import Any

_HOMES = {
    "leaderboard": "report",
    "plots": "report",
    "read": "report",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    return getattr(home, name)


def __dir__() -> list[str]:
    return __all__
