"""Checks the order of the callbacks of a `fit` call.

Keras calls callbacks in list order and does not pass the list to them. The
list is read from the call stack: Keras 3.15's `CallbackList` calls every hook.
"""

import re
import sys
import types
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras

LOGGERS = ("CSVLogger", "TensorBoard")
_RULE = re.compile(r"(?P<name>\w+)(?:\((?P<key>\w+)=(?P<value>\w+)\))?")


def active_callbacks() -> list[Any]:
    """Lists the callbacks of the running `fit` call, in Keras' order.

    The list is empty outside a `CallbackList` hook.
    """
    for _, owner in _outer_frames():
        if isinstance(owner, keras.callbacks.CallbackList):
            return list(owner.callbacks)
    return []


def find_ending_epoch() -> tuple[int, dict[str, Any]] | None:
    """Finds the epoch for which Keras calls `on_epoch_end` right now.

    Returns its number and its logs, or `None` at any other time.
    """
    for frame, owner in _outer_frames():
        is_end = frame.f_code.co_name == "on_epoch_end"
        if is_end and isinstance(owner, keras.callbacks.CallbackList):
            return frame.f_locals["epoch"], frame.f_locals["logs"]
    return None


def find_complete_epochs(model: Any) -> int | None:
    """Counts the complete epochs of a model whose `fit` runs right now.

    Returns `None` before its first epoch and after its last one.
    """
    for frame, owner in _outer_frames():
        name = frame.f_code.co_name
        if isinstance(owner, keras.callbacks.CallbackList):
            if name == "on_epoch_end":
                epoch: int = frame.f_locals["epoch"]
                return epoch + 1
            if name == "on_train_end":
                return None
        elif name == "fit" and owner is model:
            return frame.f_locals.get("epoch")
    return None


def find_fit_arguments(model: Any) -> dict[str, Any]:
    """Finds the arguments of the running `fit` call, empty outside of it."""
    for frame, owner in _outer_frames():
        code = frame.f_code
        if code.co_name == "fit" and owner is model:
            names = code.co_varnames[1 : code.co_argcount]
            return {name: frame.f_locals.get(name) for name in names}
    return {}


def find_model_to_build() -> Any:
    """Finds the model whose `fit` reads data before any callback runs.

    On JAX and torch Keras builds a model with a batch then. Returns `None` at
    any other time.
    """
    for frame, owner in _outer_frames():
        if frame.f_code.co_name == "fit" and isinstance(owner, keras.Model):
            callbacks = frame.f_locals.get("callbacks")
            is_running = isinstance(callbacks, keras.callbacks.CallbackList)
            return None if is_running else owner
    return None


def find_fit_variables(model: Any, names: Iterable[str]) -> list[Any]:
    """Finds local variables of the running `fit` call, empty outside of it."""
    for frame, owner in _outer_frames():
        if frame.f_code.co_name == "fit" and owner is model:
            found = frame.f_locals
            return [found[name] for name in names if name in found]
    return []


def _outer_frames() -> Iterator[tuple[types.FrameType, Any]]:
    """Yields the frames of the call stack, innermost first, and `self`."""
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame, frame.f_locals.get("self")
        frame = frame.f_back


def matches_rule(callback: Any, rule: str) -> bool:
    """Returns whether an order rule names a callback.

    A rule is the name of its class or a base class, optionally with one
    attribute: "EarlyStopping(restore_best_weights=True)".
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
    callback: Any,
    callbacks: Sequence[Any],
    rules: Sequence[str],
    *,
    after: bool,
) -> list[Any]:
    """Finds callbacks on the wrong side of a callback, in order.

    With `after` the callback must follow those in `rules`, else precede them.
    """
    where = next(i for i, c in enumerate(callbacks) if c is callback)
    wrong = callbacks[where + 1 :] if after else callbacks[:where]
    return [c for c in wrong if any(matches_rule(c, rule) for rule in rules)]


def require_order(
    callback: Any, callbacks: Sequence[Any], rules: Sequence[str]
) -> None:
    """Raises an error if a callback precedes one that it must follow."""
    late = find_misplaced(callback, callbacks, rules, after=True)
    if late:
        raise ValueError(
            f"{type(callback).__name__} must come after "
            f"{', '.join(type(c).__name__ for c in late)}, which would "
            "otherwise undo its work. Use callbacks="
            f"{format_order(callback, callbacks, late)}. Received: "
            f"callbacks={format_order(callback, callbacks, [])}"
        )


def refuse_conflicts(
    callback: Any, callbacks: Sequence[Any], rules: Sequence[str]
) -> None:
    """Raises an error if incompatible callbacks share a `fit` call."""
    wrong = [
        c for c in callbacks if any(matches_rule(c, rule) for rule in rules)
    ]
    if wrong:
        own, others = type(callback).__name__, (type(c).__name__ for c in wrong)
        raise ValueError(
            f"{own} cannot be used in one `fit` call with "
            f"{', '.join(others)}: use one `fit` call for each. "
            f"Received: callbacks={format_order(callback, callbacks, [])}"
        )


def format_order(
    callback: Any, callbacks: Sequence[Any], first: Sequence[Any]
) -> str:
    """Formats the list with some callbacks moved before a callback."""
    moved = list(first)
    rest = [c for c in callbacks if all(c is not m for m in moved)]
    where = next(i for i, c in enumerate(rest) if c is callback)
    ordered = [*rest[:where], *moved, *rest[where:]]
    defaults = (keras.callbacks.History, keras.callbacks.ProgbarLogger)
    names = [type(c).__name__ for c in ordered if not isinstance(c, defaults)]
    return f"[{', '.join(names)}]"
