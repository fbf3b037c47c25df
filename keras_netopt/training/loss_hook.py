"""Changes the loss that `fit` minimizes, and nothing else.

Private names of Keras 3.15: `_compute_loss_has_training_arg`.
"""

from collections.abc import Callable
from typing import Any

import keras

from keras_netopt.training.override_method import override_method

# (x, y_pred, sample_weight, loss) -> loss
ChangeLoss = Callable[[Any, Any, Any, Any], Any]


class LossHook:
    """Passes the loss of every training step through a function.

    The loss of `evaluate`, of validation and of `test_step` does not change.
    The hook ends with `remove`, or with the next `fit` call if the current
    one raises an error.

    Args:
        model: A compiled model whose `train_step` calls `compute_loss`.
        change: Function of the inputs, outputs, sample weights and the loss
            of a batch that returns the loss to minimize. It runs inside the
            compiled step.
    """

    def __init__(self, model: keras.Model, change: ChangeLoss) -> None:
        self._model: Any = model
        self._change = change
        self._is_testing = False
        self._undos: list[Callable[[], None]] = []
        self._before: Any = None
        self._before_test: Any = None
        self._own: Any = None
        # How often the step was traced; on torch, how often it ran.
        self.traces = 0

    def install(self, on_removed: Callable[[], None]) -> None:
        """Overrides the methods; compiles the step again if it is new."""
        model = self._model
        self._undos = [
            override_method(model, "compute_loss", self._compute_loss),
            override_method(model, "fit", self._fit),
            on_removed,
        ]
        if self._tests_alike():
            self._undos.append(
                override_method(model, "test_step", self._test_step)
            )
        self._before_test = model.test_function
        if self._own is None or model.train_function is not self._before:
            self._before = model.train_function
            self.traces = 0
            model.make_train_function(force=True)
            self._own = model.train_function
        model.train_function = self._own

    def remove(self) -> None:
        """Restores the model's own loss; calling it twice does nothing."""
        model, undos = self._model, self._undos
        if not undos:
            return
        self._undos = []
        for undo in undos:
            undo()
        # A function that another callback has made since holds this hook.
        is_same = model.train_function is self._own
        model.train_function = self._before if is_same else None
        if self._tests_alike() and model.test_function is not self._before_test:
            model.test_function = None

    def forget(self) -> None:
        """Makes the next `install` compile the step again."""
        self._own = None

    def _tests_alike(self) -> bool:
        """Whether `test_step` may call `compute_loss` as a training step."""
        model = self._model
        is_own = type(model).test_step is not keras.Model.test_step
        return is_own or not model._compute_loss_has_training_arg

    def _fit(self, *args: Any, **kwargs: Any) -> Any:
        """The next `fit` call, after one that raised an error."""
        self.remove()
        return self._model.fit(*args, **kwargs)

    def _compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
        **others: Any,
    ) -> Any:
        model = self._model
        if model._compute_loss_has_training_arg:
            others["training"] = training
        loss = type(model).compute_loss(
            model,
            x=x,
            y=y,
            y_pred=y_pred,
            sample_weight=sample_weight,
            **others,
        )
        if self._is_testing or not training:
            return loss
        self.traces += 1
        return self._change(x, y_pred, sample_weight, loss)

    def _test_step(self, *args: Any) -> Any:
        self._is_testing = True
        try:
            return type(self._model).test_step(self._model, *args)
        finally:
            self._is_testing = False
