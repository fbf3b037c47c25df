"""C9 to C11, C15: compilation modes and kinds of data."""

import functools

import keras
import numpy as np
import pytest
from contract import (
    callback_setting,
    counts,
    probes,
    settings,
    torch_compile,
    zoo,
)
from contract.conftest import policy
from contract.rows import FIRST, ONE_QUICK, TOUCHING

from keras_netopt.callbacks import Pruning
from keras_netopt.schedules import Linear
from keras_netopt.training import MaskStore

BACKEND = keras.backend.backend()
optimizers = keras.optimizers


TOUCHED = [s for s in settings.COMPONENTS.values() if s.row.touches]
# TensorFlow and JAX compile all of it again: each tests its own dtype.
LATER = {"tensorflow": "bfloat16", "jax": "mixed_float16"}.get(BACKEND)
HALVES = [
    pytest.param(name, marks=pytest.mark.slow if name == LATER else ())
    for name in ("mixed_float16", "bfloat16")
]


@pytest.mark.check("C9")
@pytest.mark.parametrize("name", HALVES)
@ONE_QUICK
def test_half_precision_trains(setting, name, case):
    with policy(name):
        model, before = zoo.light(), zoo.build("mlp")
        callbacks = setting.callbacks(case)
        history = probes.fit(model, "mlp", callbacks)

        assert probes.is_finite(history)
        assert setting.effect(before, model, callbacks[-1])
    wanted = "float32" if name.startswith("mixed") else "bfloat16"
    assert {v.dtype for v in model.trainable_variables} == {wanted}
    layer = model.layers[0]
    assert layer.compute_dtype == name.removeprefix("mixed_")


@pytest.fixture(scope="module")
def plain_run(tmp_path_factory):
    """The reference of the modes: one run per component, with its traces."""

    @functools.cache
    def run(setting):
        folder = tmp_path_factory.mktemp("plain")
        return _mode(setting, folder, {"jit_compile": zoo.JIT})

    return run


def _mode(setting, folder, arguments):
    loss = probes.CountedLoss(from_logits=True)
    model = zoo.build("mlp", dropout=0.0)
    model.compile(optimizers.SGD(0.1, 0.9), loss, **arguments)
    callbacks = []
    if setting is not None:
        callbacks = setting.callbacks(callback_setting.case("mlp", folder))
    probes.fit(model, "mlp", callbacks)
    if setting is not None:
        assert setting.effect(zoo.build("mlp"), model, callbacks[-1])
    return probes.weights(model), loss.calls


def _modes():
    """Each component in each mode; `jit_compile="auto"` is one of the others:
    True on TensorFlow and JAX, where it is the default, False on torch.
    """
    for setting in TOUCHED:
        yield pytest.param(
            setting, {"run_eagerly": True}, id=f"{setting}-eager"
        )
        for value in (True, "auto"):
            is_other = setting is FIRST if value == "auto" else BACKEND != "jax"
            marks = () if is_other else (pytest.mark.slow,)
            if BACKEND == "torch" and value is True:
                marks = (pytest.mark.slow, *torch_compile.QUIET)
            yield pytest.param(
                setting,
                {"jit_compile": value},
                id=f"{setting}-jit {value}",
                marks=marks,
            )


@pytest.mark.check("C10")
@pytest.mark.parametrize(("setting", "arguments"), [*_modes()])
def test_compiled_and_eager_training_agree(
    setting, arguments, plain_run, tmp_path
):
    compiled = BACKEND == "torch" and arguments.get("jit_compile") is True
    frames = torch_compile.frames() if compiled else None
    weights, _ = _mode(setting, tmp_path, arguments)

    probes.assert_close(weights, plain_run(setting)[0])
    assert frames is None or frames["ok"] > 0


# torch runs Python at each step: nothing is traced.
@pytest.mark.backend("tensorflow", "jax")
@pytest.mark.check("C10")
@TOUCHING
def test_the_step_is_traced_no_more_often(setting, plain_run):
    """Attached before the first step; else one more trace is allowed."""
    allowed = {"never": 0, "on_event": 2, "epoch": 2}[setting.row.retraces]

    assert plain_run(setting)[1] <= plain_run(None)[1] + allowed


@pytest.mark.check("C11")
@ONE_QUICK
def test_steps_per_execution_counts_batches(setting, case):
    """10 batches in executions of 4: the last hook of Keras has batch 11."""
    if BACKEND == "torch":
        with pytest.raises(ValueError, match="steps_per_execution"):
            probes.fit(zoo.light(steps_per_execution=4), "mlp")
        return
    x, y = zoo.data("mlp", samples=10 * zoo.BATCH_SIZE)
    model, callbacks = (
        zoo.light(steps_per_execution=4),
        setting.callbacks(case),
    )
    probes.fit(model, "mlp", callbacks, x=x, y=y)

    assert setting.effect(zoo.build("mlp"), model, callbacks[-1])
    for callback in callbacks:
        counts_batches = (
            getattr(type(callback), "on_train_batch_end", None)
            is not keras.callbacks.Callback.on_train_batch_end
        )
        if hasattr(callback, "is_complete"):
            assert callback.is_complete
        if hasattr(callback, "is_complete") and counts_batches:
            assert callback.save_state()[0]["step"] == 20


# Keras refuses `steps_per_execution` on torch.
@pytest.mark.backend("tensorflow", "jax")
def test_executions_give_the_masks_of_single_steps():
    results = []
    for steps in (1, 4):
        model = zoo.light(dropout=0.0, steps_per_execution=steps)
        pruning = Pruning(Linear(final=0.5, begin=4, end=8), frequency=4)
        probes.fit(model, "mlp", [pruning])
        results.append(probes.weights(model))

    probes.assert_close(*results)
    for mine, theirs in zip(
        results[0].values(), results[1].values(), strict=True
    ):
        np.testing.assert_array_equal(mine == 0, theirs == 0)


def _multi():
    return optimizers.MultiOptimizer(
        optimizers.OptimizerMap(
            optimizers.Adam(0.01), {".*kernel": optimizers.SGD(0.1, 0.9)}
        )
    )


OPTIMIZERS = {
    "options": lambda: optimizers.SGD(
        0.1,
        0.9,
        gradient_accumulation_steps=4,
        clipnorm=0.1,
        use_ema=True,
        ema_momentum=0.5,
    ),
    "lion": lambda: optimizers.Lion(0.01),
    "multi": _multi,
    "accumulation": lambda: optimizers.Adam(
        0.01, gradient_accumulation_steps=4
    ),
    "clipnorm": lambda: optimizers.Adam(0.01, clipnorm=0.1),
    "global_clipnorm": lambda: optimizers.Adam(0.01, global_clipnorm=0.1),
    "ema": lambda: optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5),
    "momentum": lambda: optimizers.SGD(0.1, momentum=0.9),
    "adamw": lambda: optimizers.AdamW(0.01, weight_decay=0.1),
    "rmsprop": lambda: optimizers.RMSprop(0.01),
}
QUICK = ("options", "lion", "multi")


def _optimizers():
    """Masks and edits with three optimizers, other components with one.

    The others are slow: tests/training tests masks and slots with every Keras
    optimizer.
    """
    for i, setting in enumerate(TOUCHED):
        edits = "optimizer" in setting.row.touches
        quick = QUICK if edits else QUICK[i % len(QUICK) :][:1]
        for name in OPTIMIZERS:
            marks = () if name in quick else (pytest.mark.slow,)
            found = f"{setting}-{name}"
            yield pytest.param(setting, name, id=found, marks=marks)


class Zeros(keras.callbacks.Callback):
    """Masked weights are +0.0 after every batch."""

    def __init__(self):
        super().__init__()
        self.batches = 0

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1
        store = MaskStore.of(self.model)
        if store is None:
            return
        weights = store.weights()
        for key, mask in store.masks().items():
            outside = weights[key][~mask]
            assert not outside.any()
            assert not np.signbit(outside).any()


@pytest.mark.check("C15")
@pytest.mark.parametrize(("setting", "name"), [*_optimizers()])
def test_optimizers_keep_the_effect(setting, name, case):
    model, check = zoo.light(optimizer=OPTIMIZERS[name]()), Zeros()
    callbacks = [*setting.callbacks(case), check]
    history = probes.fit(model, "mlp", callbacks)

    assert probes.is_finite(history)
    assert check.batches == 8
    assert setting.effect(zoo.build("mlp"), model, callbacks[-2])
    assert probes.differ(
        probes.weights(zoo.build("mlp")), probes.weights(model)
    )


@pytest.mark.check("C15")
def test_swapped_averages_are_as_sparse(case):
    """Validation and checkpoints use the averaged weights."""

    class Count(keras.callbacks.Callback):
        zeros = []

        def on_test_begin(self, logs=None):
            self.zeros.append(counts.zeros(self.model))

    model = zoo.light(
        optimizer=optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    )
    callbacks = [
        FIRST.build(case),
        keras.callbacks.SwapEMAWeights(True),
        Count(),
    ]
    probes.fit(model, "mlp", callbacks, validation_data=zoo.data("mlp"))

    assert callbacks[-1].zeros[-1] == 88
    assert FIRST.effect(zoo.build("mlp"), model, callbacks[0])


class CallsSuper(keras.Sequential):
    """A custom `train_step` that calls that of Keras."""

    steps = 0

    def train_step(self, *arguments):
        self.steps += 1
        return super().train_step(*arguments)


@pytest.mark.check("C15")
@TOUCHING
def test_a_custom_train_step(setting, case):
    plain = zoo.build("mlp")
    model = CallsSuper(plain.layers)
    model.build((None, 8))
    model.compile(
        "sgd",
        probes.CountedLoss(from_logits=True),
        jit_compile=zoo.JIT,
    )
    callbacks = setting.callbacks(case)
    probes.fit(model, "mlp", callbacks)

    assert model.steps
    assert setting.effect(zoo.build("mlp"), model, callbacks[-1])


WEIGHTS = {
    "class_weight": {"class_weight": {0: 1.0, 1: 2.0, 2: 0.5}},
    "sample_weight": {
        "sample_weight": np.linspace(0, 1, zoo.SAMPLES, dtype="float32")
    },
}


def _weighted():
    """Both kinds where weights are part of what the component changes."""
    for setting in TOUCHED:
        both = setting is FIRST or "data" in setting.row.touches
        for name in WEIGHTS:
            is_quick = name == "class_weight" or both
            marks = () if is_quick else (pytest.mark.slow,)
            found = f"{setting}-{name}"
            yield pytest.param(setting, name, id=found, marks=marks)


@pytest.mark.check("C15")
@pytest.mark.parametrize(("setting", "name"), [*_weighted()])
def test_weighted_samples_train(setting, name, case):
    model, callbacks = zoo.light(), setting.callbacks(case)
    history = probes.fit(model, "mlp", callbacks, **WEIGHTS[name])

    assert probes.is_finite(history)
    assert setting.effect(zoo.build("mlp"), model, callbacks[-1])


@pytest.mark.check("C15")
@pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")
def test_generators_without_a_length_take_steps_not_fractions(case):
    x, y = zoo.data("mlp")

    def batches():
        for start in range(0, zoo.SAMPLES, zoo.BATCH_SIZE):
            stop = start + zoo.BATCH_SIZE
            yield x[start:stop], y[start:stop]

    model = zoo.light()
    pruning = Pruning(Linear(final=0.5, begin=2, end=4))
    model.fit(batches(), verbose=0, shuffle=False, callbacks=[pruning])
    assert FIRST.effect(zoo.build("mlp"), model, pruning)

    untouched = zoo.light()
    before = probes.weights(untouched)
    with pytest.raises(
        ValueError, match="needs the length of the `fit` call"
    ) as error:
        untouched.fit(
            batches(), verbose=0, shuffle=False, callbacks=[Pruning(0.5)]
        )
    assert "Received: " in str(error.value)
    probes.assert_same(probes.weights(untouched), before)
