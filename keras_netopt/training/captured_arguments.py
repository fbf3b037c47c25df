"""Configs, copies and pickles made from captured constructor arguments."""

import functools
import inspect
import os
from typing import Any, Self

import keras
import numpy as np

from keras_netopt.selectors import deserialize_selector, serialize_selector
from keras_netopt.training.data_config import describe_data


class CapturedArguments:
    """Mixin of callbacks: remembers the arguments of the constructor.

    `get_config`, `from_config`, `repr`, `copy.deepcopy` and `pickle` use
    these arguments, so a subclass may have any `__init__`, also one with
    `*args` or `**kwargs`.
    """

    data_args: tuple[str, ...] = ()
    selector_args: tuple[str, ...] = ()
    required_data: tuple[str, ...] = ()  # Those without a default.
    _captured: tuple[tuple[Any, ...], dict[str, Any]]

    def __init_subclass__(cls, **options: Any) -> None:
        """Gives `help` and `inspect.signature` the signature of `__init__`."""
        super().__init_subclass__(**options)
        _, *parameters = inspect.signature(cls.__init__).parameters.values()
        cls.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Captures the arguments that `__init__` receives."""
        self = super().__new__(cls)
        self._captured = (args, kwargs)
        return self

    def get_config(self) -> dict[str, Any]:
        """Returns every constructor argument, JSON-safe.

        Data are represented by a checksum, functions by the name under which
        they are registered with Keras; `from_config` takes both by name.
        """
        return {
            name: describe_data(value)
            if name in self.data_args
            else self._config_value(name, value)
            for name, value in self._arguments().items()
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], **data: Any) -> Any:
        """Builds a callback from a config.

        Args:
            config: What `get_config` returned.
            **data: What a config cannot hold: data, and functions that are
                not registered with Keras.

        Returns:
            A callback with the same settings.

        Raises:
            ValueError: If data that the callback needs are missing.
        """
        for name in cls.required_data:
            if name not in data:
                raise ValueError(
                    f"Argument `{name}` must be passed with the config, which "
                    f"holds no data: `{cls.__name__}.from_config(config, "
                    f"{name}=...)`. Received: {name}={config.get(name)!r}"
                )
        values = {
            key: deserialize_selector(value)
            if key in cls.selector_args
            else _deserialize(value)
            for key, value in config.items()
            if key not in {*cls.data_args, *data}
        }
        values.update(data)
        bound = inspect.signature(cls).bind_partial()
        for name, parameter in bound.signature.parameters.items():
            if name in values and parameter.kind is not parameter.VAR_KEYWORD:
                bound.arguments[name] = values.pop(name)
        return cls(*bound.args, **bound.kwargs, **values)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the arguments; neither the model nor its state."""
        args, kwargs = self._captured
        return functools.partial(type(self), *args, **kwargs), ()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copies the arguments; neither the model nor its state."""
        args, kwargs = self._captured
        return type(self)(*args, **kwargs)

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={value!r}"
            for name, value in self._arguments().items()
            if name not in self.data_args
        )
        return f"{type(self).__name__}({shown})"

    def _arguments(self) -> dict[str, Any]:
        """Returns the captured arguments by name, with defaults."""
        args, kwargs = self._captured
        bound = inspect.signature(type(self)).bind(*args, **kwargs)
        bound.apply_defaults()
        found: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            kind = bound.signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                found.update(value)
            elif kind is not inspect.Parameter.VAR_POSITIONAL or value:
                found[name] = value
        return found

    def _settings(self) -> dict[str, Any]:
        """Returns the JSON-safe arguments without data.

        Arguments that a subclass passes to its base class are added from the
        attributes of the same name: `super().__init__(0.5)` counts as well.
        """
        found = {
            name: self._config_value(name, value)
            for name, value in self._arguments().items()
            if name not in self.data_args
        }
        own, *bases = (c for c in type(self).__mro__ if "__init__" in vars(c))
        for base in bases:
            for name in inspect.signature(vars(base)["__init__"]).parameters:
                if name in self.data_args or name not in vars(self):
                    continue
                value = self._config_value(name, getattr(self, name))
                if found.setdefault(name, value) != value:
                    found[f"{base.__name__}.{name}"] = value
        return found

    def _config_value(self, name: str, value: Any) -> Any:
        if name in self.selector_args:
            return serialize_selector(value)
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if inspect.isroutine(value):
            return keras.saving.get_registered_name(value)
        return keras.saving.serialize_keras_object(value)


def _deserialize(value: Any) -> Any:
    if isinstance(value, dict | list):
        return keras.saving.deserialize_keras_object(value)
    if isinstance(value, str) and ">" in value:
        return keras.saving.get_registered_object(value) or value
    return value
