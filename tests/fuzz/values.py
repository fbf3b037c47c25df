"""What is handed to the arguments of constructors: almost anything."""

import math
import pathlib
from typing import Any

import keras
import numpy as np
from hypothesis import strategies as st

HUGE = 10**12
# Values that some constructor takes, and near misses of them.
WORDS = (
    *("auto", "min", "max", "loss", "val_loss", "val_accuracy", "linear"),
    *("global", "uniform", "magnitude", "random", "taylor", "gradient"),
    *("sample", "train", "first", "last", "all", "mean", "cosine", "adam"),
    *("sum", "none", "float16", "2:4", "3ep", "500step", "-1ep", "0.5", "("),
    *("relu", "int8", "tasks", "tpe", "gp", "random", "[", "a/b", "\0", "~"),
    *("x" * 300, "é", "{}", "%s", ".keras", "weights.h5"),
)
EDGES = (0, 1, -1, 2, HUGE, -HUGE, 2**31, 2**63, 2**64, 10**400)
FLOATS = (0.0, -0.0, 0.5, 1.0, 1e-300, 1e300, math.nan, math.inf, -math.inf)


class Strange:
    """An object without any method that an argument may need."""


class Hostile:
    """Compares with nothing, has no truth value and cannot be hashed."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("this object is not compared")

    def __bool__(self) -> bool:
        raise RuntimeError("this object has no truth value")

    def __repr__(self) -> str:
        return "<hostile>"


def dense() -> keras.layers.Layer:
    return keras.layers.Dense(2)


def built() -> keras.Model:
    inputs = keras.Input((3,))
    return keras.Model(inputs, keras.layers.Dense(2)(inputs))


def make(kind: str) -> Any:
    """Objects that are made anew for each call."""
    made = {
        "layer": dense,
        "unbuilt model": lambda: keras.Sequential([dense()]),
        "model": built,
        "input": lambda: keras.Input((3,)),
        "optimizer": lambda: keras.optimizers.Adam(0.1),
        "loss": keras.losses.MeanSquaredError,
        "schedule": lambda: keras.optimizers.schedules.CosineDecay(0.1, 10),
        "callback": keras.callbacks.Callback,
        "object": Strange,
        "hostile": Hostile,
        "generator": lambda: (i for i in range(3)),
        "iterator": lambda: iter([1, 2]),
    }
    return made[kind]()


KINDS = (
    *("layer", "unbuilt model", "model", "input", "optimizer", "loss"),
    *("schedule", "callback", "object", "hostile", "generator", "iterator"),
)
PLAIN: tuple[Any, ...] = (
    *(1 + 2j, b"bytes", object, print, ..., range(3), range(HUGE)),
    *(lambda: 1, lambda a: a, lambda a, b: a, keras.layers.Dense),
    *(set(), frozenset({1}), slice(1), pathlib.Path("p"), np.float32(0.5)),
    *(np.int64(3), np.float64("nan"), np.bool_(True), np.str_("a")),
)
numbers = (
    st.sampled_from(EDGES)
    | st.integers(-5, 5)
    | st.integers(-HUGE, HUGE)
    | st.sampled_from(FLOATS)
    | st.floats()
)
words = st.sampled_from(WORDS) | st.text("ab09.:*[(-_ é", max_size=6)
arrays = st.sampled_from(
    (
        np.zeros(0),
        np.ones((2, 3)),
        np.array(1.0),
        np.full(4, np.nan),
        np.arange(6, dtype="int8"),
        np.array(["a", "b"]),
        np.array([1, "a", None], dtype=object),
        np.zeros((3, 0, 2), "float16"),
    )
)
made = st.sampled_from(KINDS).map(make)
simple = (
    st.none()
    | st.booleans()
    | numbers
    | words
    | arrays
    | st.sampled_from(PLAIN)
    | made
)
lists = st.lists(simple, max_size=4)
dicts = st.dictionaries(
    words | st.integers(-3, 3) | st.none(), simple, max_size=3
)
anything = (
    simple
    | lists
    | lists.map(tuple)
    | dicts
    | st.lists(lists | dicts, max_size=3)
    | st.dictionaries(words, dicts | lists, max_size=2)
)
