"""Selectors: the one way to name several layers or weights of a model.

A selector is one of these, or a list of them (their union):

- a string: a regular expression that is searched (`re.search`) in the path of
  each layer, "block_1/conv", or weight, "block_1/conv/kernel"; a layer's path
  also matches with a final "/", so that "block/" selects what is inside it;
- "first" or "last": the first or the last layer, in the order of the model,
  among those that the method changes by default;
- a layer: this layer and everything inside it;
- a layer class: its instances and everything inside them;
- a `callable(layer) -> bool`.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import keras

from keras_netopt.checks import check_regex, takes_one_argument
from keras_netopt.graph.layers import walk_layers

Pattern: TypeAlias = (
    str | keras.Layer | type[keras.Layer] | Callable[[keras.Layer], bool]
)
Selector: TypeAlias = Pattern | Iterable[Pattern]

KINDS = (
    "a regular expression, a layer, a layer class, a callable(layer), "
    '"first", "last" or a list of those'
)
ENDS = ("first", "last")
_CLASS = "layer_class"
_FUNCTION = "function"


def check_selector(selector: Any, name: str) -> None:
    """Refuses what is neither a selector nor `None`."""
    patterns = as_patterns(selector)
    if not patterns and selector is not None:
        raise ValueError(
            f"Argument `{name}` must hold at least one selector, or be None. "
            f"Received: {name}={selector!r}"
        )
    for pattern in patterns:
        if isinstance(pattern, str):
            check_regex(pattern, name)
        elif not _is_layer_or_class(pattern) and not takes_one_argument(
            pattern
        ):
            raise TypeError(
                f"Argument `{name}` must be {KINDS}. "
                f"Received: {name}={pattern!r}"
            )


def as_patterns(selector: Any) -> list[Any]:
    """Returns a selector as a list of single patterns, empty for `None`."""
    if selector is None:
        return []
    is_list = isinstance(selector, list | tuple | set | frozenset)
    return list(selector) if is_list else [selector]


def select(
    selector: Any,
    candidates: Sequence[tuple[str, Any]],
    model: keras.Model,
    name: str,
    *,
    kind: str = "layer",
    ends: Sequence[Any] | None = None,
) -> set[int]:
    """Returns the positions of the candidates that a selector stands for.

    Args:
        selector: The selector; `None` selects nothing.
        candidates: Path and layer of each layer or weight that may be
            selected, in the order of the model.
        model: The model, searched for instances of a layer class.
        name: The argument's name, for the message.
        kind: What a candidate is, for the message. Defaults to `"layer"`.
        ends: The layers among which "first" and "last" are counted. Defaults
            to `None`: the layers of all candidates.
    """
    check_selector(selector, name)
    if ends is None:
        ends = [layer for _, layer in candidates]
    selected: set[int] = set()
    for pattern in as_patterns(selector):
        found = find_matches(pattern, candidates, model, ends)
        if not found:
            paths = [path for path, _ in candidates]
            raise ValueError(
                f"Argument `{name}` must match at least one {kind}. "
                f"{_describe_paths(pattern, paths)} "
                f"Received: {name}={pattern!r}"
            )
        selected |= found
    return selected


def find_matches(
    pattern: Pattern,
    candidates: Sequence[tuple[str, Any]],
    model: keras.Model,
    ends: Sequence[Any],
) -> set[int]:
    """Returns the positions of the candidates that one pattern matches.

    The arguments are those of `select`; no match is no error.
    """
    if isinstance(pattern, str) and pattern in ENDS:
        wanted = [id(layer) for layer in ends[-1:]]
        if pattern == "first":
            wanted = [id(layer) for layer in ends[:1]]
    elif isinstance(pattern, str):
        search = re.compile(pattern).search
        return {
            place
            for place, (path, _) in enumerate(candidates)
            if search(path) or search(f"{path}/")
        }
    elif _is_layer_or_class(pattern):
        wanted = [
            id(inside)
            for layer in walk_layers(model)
            if layer is pattern
            or (isinstance(pattern, type) and isinstance(layer, pattern))
            for inside in walk_layers(layer)
        ]
    else:
        wanted = [id(layer) for _, layer in candidates if pattern(layer)]
    inside = set(wanted)
    return {k for k, (_, layer) in enumerate(candidates) if id(layer) in inside}


def _is_layer_or_class(pattern: Any) -> bool:
    if isinstance(pattern, type):
        return issubclass(pattern, keras.Layer)
    return isinstance(pattern, keras.Layer)


def _describe_paths(pattern: Any, paths: Sequence[str]) -> str:
    if not paths:
        return "The model has none that could be selected."
    text = getattr(pattern, "__name__", getattr(pattern, "name", pattern))
    return f"The nearest paths are {nearest_paths(str(text), paths)}."


def nearest_paths(text: str, paths: Iterable[str]) -> str:
    """Lists the three paths most like a text, the nearest first."""

    def ratio(path: str) -> float:
        return max(
            difflib.SequenceMatcher(None, text, name).ratio()
            for name in (path, *path.split("/"))
        )

    best = sorted(dict.fromkeys(paths), key=ratio, reverse=True)
    return ", ".join(repr(path) for path in best[:3])


def serialize_selector(selector: Any) -> Any:
    """Returns a JSON-safe form of a selector: strings, dicts, lists or `None`.

    A layer becomes the regular expression of its name, which selects it in
    every copy of the model.
    """
    if selector is None or isinstance(selector, str):
        return selector
    if isinstance(selector, list | tuple | set | frozenset):
        return [serialize_selector(pattern) for pattern in selector]
    if isinstance(selector, type):
        return {_CLASS: keras.saving.get_registered_name(selector)}
    if isinstance(selector, keras.Layer):
        return f"(^|/){re.escape(selector.name)}/"
    return {_FUNCTION: keras.saving.get_registered_name(selector)}


def deserialize_selector(config: Any) -> Any:
    """Returns the selector that `serialize_selector` wrote."""
    if isinstance(config, list):
        return [deserialize_selector(one) for one in config]
    if not isinstance(config, dict):
        return config
    ((kind, name),) = config.items()
    found = keras.saving.get_registered_object(name)
    if found is None and kind == _CLASS:
        found = getattr(keras.layers, name, None)
    if found is None:
        raise ValueError(
            "A layer class or a function in a selector must be registered "
            "with keras.saving.register_keras_serializable to be read from a "
            f"config, unless Keras has the class. Received: {kind}={name!r}"
        )
    return found
