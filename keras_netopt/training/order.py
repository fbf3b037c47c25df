"""Checks that callbacks stand in an order in which they can work.

Keras calls callbacks in list order and tells none about the others. The list
is found on the call stack: Keras 3.15's `CallbackList` calls every hook.
"""

import re
import sys
from collections.abc import Sequence
from typing import Any

import keras

LOGGERS = ("CSVLogger", "TensorBoard")
_RULE = re.compile(r"(?P<name>\w+)(?:\((?P<key>\w+)=(?P<value>\w+)\))?")


def active_callbacks() -> list[Any]:
    """Lists the callbacks of the running fit, in Keras' order.

    Returns:
        The callbacks, or an empty list outside a `CallbackList` hook.
    """
    frame = sys._getframe(1)
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, keras.callbacks.CallbackList):
            return list(owner.callbacks)
        frame = frame.f_back  # type: ignore[assignment]
    return []


def find_ending_epoch() -> tuple[int, dict[str, Any]] | None:
    """Finds the epoch whose end Keras is telling the callbacks right now.

    Returns:
        The number of the epoch and its logs, or `None` at any other time.
    """
    frame = sys._getframe(1)
    while frame is not None:
        owner = frame.f_locals.get("self")
        if (
            isinstance(owner, keras.callbacks.CallbackList)
            and frame.f_code.co_name == "on_epoch_end"
        ):
            return frame.f_locals["epoch"], frame.f_locals["logs"]
        frame = frame.f_back  # type: ignore[assignment]
    return None


def find_fit_arguments(model: Any) -> dict[str, Any]:
    """Finds what `fit` was called with, which Keras tells no callback.

    Args:
        model: The model being trained.

    Returns:
        The arguments by name, or nothing outside of `fit`.
    """
    frame = sys._getframe(1)
    while frame is not None:
        is_fit = frame.f_code.co_name == "fit"
        if is_fit and frame.f_locals.get("self") is model:
            code = frame.f_code
            names = code.co_varnames[1 : code.co_argcount]
            return {name: frame.f_locals.get(name) for name in names}
        frame = frame.f_back  # type: ignore[assignment]
    return {}


def matches_rule(callback: Any, rule: str) -> bool:
    """Returns whether an order rule names a callback.

    Example:

    >>> import keras
    >>> early = keras.callbacks.EarlyStopping(restore_best_weights=True)
    >>> matches_rule(early, "EarlyStopping(restore_best_weights=True)")
    True
    >>> matches_rule(keras.callbacks.History(), "EarlyStopping")
    False

    Args:
        callback: Any Keras callback.
        rule: A class name, its own or a parent's, optionally with one
            attribute: `"EarlyStopping(restore_best_weights=True)"`.

    Returns:
        Whether the callback is meant.

    Raises:
        ValueError: If the rule cannot be read.
    """
    match = _RULE.fullmatch(rule)
    if match is None:
        raise ValueError(
            'A rule must read "Name" or "Name(attribute=value)". '
            f"Received: rule={rule!r}"
        )
    names = {cls.__name__ for cls in type(callback).__mro__}
    if match["name"] not in names:
        return False
    key = match["key"]
    return key is None or str(getattr(callback, key, None)) == match["value"]


def find_misplaced(
    piece: Any, callbacks: Sequence[Any], rules: Sequence[str], *, after: bool
) -> list[Any]:
    """Finds the callbacks on the wrong side of a piece.

    Args:
        piece: One of `callbacks`.
        callbacks: The active callbacks in order.
        rules: Whom the piece must follow (`after`) or precede.
        after: Whether the rules name those that must come before the piece.

    Returns:
        Those that stand on the wrong side, in order.
    """
    where = next(i for i, c in enumerate(callbacks) if c is piece)
    wrong = callbacks[where + 1 :] if after else callbacks[:where]
    return [c for c in wrong if any(matches_rule(c, rule) for rule in rules)]


def require_order(
    piece: Any, callbacks: Sequence[Any], rules: Sequence[str]
) -> None:
    """Refuses a list in which a piece stands before what it must follow.

    Args:
        piece: One of `callbacks`.
        callbacks: The active callbacks in order.
        rules: Whom the piece must follow.

    Raises:
        ValueError: If one of them stands behind the piece; the text has the
            right list.
    """
    late = find_misplaced(piece, callbacks, rules, after=True)
    if late:
        raise ValueError(
            f"{type(piece).__name__} must come after "
            f"{', '.join(type(c).__name__ for c in late)}, which would "
            "otherwise undo its work. Use callbacks="
            f"{format_order(piece, callbacks, late)}. Received: "
            f"callbacks={format_order(piece, callbacks, [])}"
        )


def refuse_conflicts(
    piece: Any, callbacks: Sequence[Any], rules: Sequence[str]
) -> None:
    """Refuses a fit in which a callback stands that a piece cannot bear.

    Args:
        piece: One of `callbacks`.
        callbacks: The active callbacks.
        rules: Whom it cannot stand beside.

    Raises:
        ValueError: If one of them is there.
    """
    wrong = [
        c for c in callbacks if any(matches_rule(c, rule) for rule in rules)
    ]
    if wrong:
        own, others = type(piece).__name__, (type(c).__name__ for c in wrong)
        raise ValueError(
            f"{own} cannot be in one fit with {', '.join(others)}: give each "
            "a fit of its own. "
            f"Received: callbacks={format_order(piece, callbacks, [])}"
        )


def format_order(
    piece: Any, callbacks: Sequence[Any], first: Sequence[Any]
) -> str:
    """Writes the callback list with some callbacks moved before a piece."""
    moved = list(first)
    rest = [c for c in callbacks if all(c is not m for m in moved)]
    where = next(i for i, c in enumerate(rest) if c is piece)
    ordered = [*rest[:where], *moved, *rest[where:]]
    defaults = (keras.callbacks.History, keras.callbacks.ProgbarLogger)
    names = [type(c).__name__ for c in ordered if not isinstance(c, defaults)]
    return f"[{', '.join(names)}]"
