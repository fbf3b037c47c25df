"""What became of one call: it worked, was refused, or failed."""

import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_netopt

Row = dict[str, Any]
ROOT = Path(keras_netopt.__file__).parents[1]
OURS = tuple(
    str(ROOT / name) for name in ("keras_netopt", "callbacks", "layers")
)
TEXT = 1500


def attempt(call: Callable[[], Row | None]) -> Row:
    """Calls; a refusal is an error that the library itself raises.

    Args:
        call: Returns what is to be written down.

    Returns:
        `state`: "ok", "refused" (raised in a file of the library) or
        "failed" (raised elsewhere), with the error's text.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            row: Row = {"state": "ok", **(call() or {})}
        except Exception as error:  # noqa: BLE001
            row = describe(error)
    notes = [
        " ".join(str(one.message).split())[:TEXT]
        for one in caught
        if issubclass(one.category, _categories())
    ]
    return {**row, "notes": notes} if notes else row


def describe(error: Exception) -> Row:
    """The type, text and place of an error."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    ours = place.filename.startswith(OURS)
    text = " ".join(str(error).split())
    return {
        "state": "refused" if ours else "failed",
        "error": f"{type(error).__name__}: {text[:TEXT]}",
        "place": f"{Path(place.filename).name}:{place.name}",
    }


def _categories() -> tuple[type[Warning], ...]:
    return (
        keras_netopt.warnings.NoEffectWarning,
        keras_netopt.warnings.NotIntendedUseWarning,
    )
