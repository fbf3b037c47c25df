"""The one override of an optimizer's `apply`, shared by masks and masters."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from keras_netopt.training import optimizers
from keras_netopt.training.override_method import override_method

_ATTRIBUTE = "_netopt_hook"


class UpdateFilter(Protocol):
    """Acts before and after each update of the weights, inside the step.

    `order` tells where it stands among the filters of an optimizer: a lower
    one begins earlier and ends later. `variables` are those that it has added
    to the optimizer.
    """

    order: int

    @property
    def variables(self) -> tuple[Any, ...]:
        """The variables that it has added to the optimizer."""
        ...

    def before_update(
        self, gradients: list[Any], variables: list[Any]
    ) -> list[Any]:
        """Returns the gradients for the optimizer, one per variable."""
        ...

    def after_update(self, variables: list[Any]) -> None:
        """Acts on the new values of the variables."""
        ...


class OptimizerHook:
    """Runs the filters of an optimizer around its `apply`.

    The variables that filters add are not in the optimizer's part of saved
    files. The order in which filters are added does not matter. Without
    filters the optimizer is as it was.
    """

    def __init__(self, optimizer: Any) -> None:
        self._owner = optimizers.innermost_optimizer(optimizer)
        self._filters: list[UpdateFilter] = []
        self._original = self._owner.apply
        self._undos = optimizers.hide_variables(optimizer, self._is_added)
        self._undos.append(override_method(self._owner, "apply", self._apply))
        object.__setattr__(self._owner, _ATTRIBUTE, self)

    @classmethod
    def add(
        cls, optimizer: Any, update_filter: UpdateFilter
    ) -> Callable[[], None]:
        """Adds a filter; returns the function that removes it."""
        hook = cls._find(optimizer) or cls(optimizer)
        hook._filters.append(update_filter)
        hook._filters.sort(key=lambda one: one.order)
        return lambda: hook._remove(update_filter)

    @classmethod
    def added_variables(cls, optimizer: Any) -> tuple[Any, ...]:
        """Returns the variables that all filters have added."""
        hook = None if optimizer is None else cls._find(optimizer)
        return () if hook is None else tuple(hook._variables())

    @classmethod
    def _find(cls, optimizer: Any) -> "OptimizerHook | None":
        owner = optimizers.innermost_optimizer(optimizer)
        return vars(owner).get(_ATTRIBUTE)

    def _remove(self, update_filter: UpdateFilter) -> None:
        self._filters = [f for f in self._filters if f is not update_filter]
        if self._filters or _ATTRIBUTE not in vars(self._owner):
            return
        for undo in self._undos:
            undo()
        object.__delattr__(self._owner, _ATTRIBUTE)

    def _variables(self) -> Iterable[Any]:
        for one in self._filters:
            yield from one.variables

    def _is_added(self, variable: Any) -> bool:
        return any(variable is one for one in self._variables())

    def _apply(self, grads: Any, trainable_variables: Any = None) -> Any:
        variables = list(
            trainable_variables or self._owner._trainable_variables
        )
        gradients = list(grads)
        for one in self._filters:
            gradients = one.before_update(gradients, variables)
        result = self._original(gradients, trainable_variables)
        for one in reversed(self._filters):
            one.after_update(variables)
        return result
