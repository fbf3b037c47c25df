"""Acts on a model whenever `fit` or a batch begins."""

from collections.abc import Callable
from typing import Any

import keras

from keras_netopt.training.override_method import override_method

_NAME = "make_train_function"


def watch_training(
    model: keras.Model, owner: Any, action: Callable[[], None]
) -> Callable[[], None]:
    """Calls an action before `fit` or `train_on_batch` uses the step.

    All actions of a model share one override of `make_train_function`. The
    returned function removes the action. A method that other code has
    overridden stays as it is, and the action is not called.

    Args:
        model: The model.
        owner: The object to which the action belongs, at most one action
            each; `list_watchers` returns it.
        action: A function without arguments.
    """
    actions = _actions(model)
    if actions is None:
        if _NAME in vars(model):
            return lambda: None
        actions = _override(model)
    actions[id(owner)] = (owner, action)

    def undo() -> None:
        held = _actions(model)
        if held is None:
            return
        held.pop(id(owner), None)
        if not held:
            object.__delattr__(model, _NAME)

    return undo


def list_watchers(model: keras.Model) -> list[Any]:
    """Returns the owners of all actions of a model."""
    return [owner for owner, _ in (_actions(model) or {}).values()]


def _actions(model: keras.Model) -> dict[int, Any] | None:
    return getattr(vars(model).get(_NAME), "actions", None)


def _override(model: Any) -> dict[int, Any]:
    actions: dict[int, Any] = {}
    original = model.make_train_function

    def make_train_function(force: bool = False) -> Any:
        if not force:
            for _, action in list(actions.values()):
                action()
        return original(force=force)

    make_train_function.actions = actions  # type: ignore[attr-defined]
    override_method(model, _NAME, make_train_function)
    return actions
