"""`ChannelPruning` cuts when and what it should, and the fit goes on."""

import copy
import pickle

import keras
import numpy as np
import pytest

from keras_netopt import schedules
from keras_netopt.callbacks import Pruning
from keras_netopt.callbacks.channel_pruning import (
    ChannelPruning,
    measure_milliseconds,
)
from keras_netopt.surgery import Size
from keras_netopt.training import MaskStore, NoEffectWarning

L = keras.layers
# Each cut costs TensorFlow a trace; a few tests below pay for it.
IS_TENSORFLOW = keras.backend.backend() == "tensorflow"
JIT = False if IS_TENSORFLOW else "auto"
TRACED = {"run_eagerly": False}


@keras.saving.register_keras_serializable("tests")
def last_first(variable):
    """A score that cuts the first units."""
    index = np.arange(variable.shape[-1])
    return np.broadcast_to(index, tuple(variable.shape))


@keras.saving.register_keras_serializable("tests")
def count_macs(model):
    return float(Size.of(model).macs)


def build(**arguments):
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            L.Dense(32, activation="relu", name="one"),
            L.BatchNormalization(momentum=0.9, name="norm"),
            L.Dropout(0.2),
            L.Dense(48, activation="relu", name="two"),
            L.Dense(3, name="out"),
        ]
    )
    return compiled(model, **arguments)


def compiled(model, **arguments):
    model.compile(
        arguments.pop("optimizer", "adam"),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=JIT,
        **{"run_eagerly": IS_TENSORFLOW, **arguments},
    )
    return model


def residual():
    keras.utils.set_random_seed(7)
    inputs = keras.Input((6, 6, 1))
    x = L.Conv2D(8, 3, name="stem")(inputs)
    skip = L.Conv2D(16, 1, name="skip")(x)
    x = L.Conv2D(16, 3, padding="same", use_bias=False, name="in")(x)
    x = L.ReLU()(L.BatchNormalization(momentum=0.9)(x))
    x = L.DepthwiseConv2D(3, padding="same")(x)
    x = L.Add()([skip, L.Conv2D(16, 1, name="last")(x)])
    x = L.GlobalAveragePooling2D()(x)
    return compiled(keras.Model(inputs, L.Dense(3, name="out")(x)), **TRACED)


def fit(model, data, *callbacks, **arguments):
    arguments = {"epochs": 4, "batch_size": 16, "verbose": 0, **arguments}
    return model.fit(*data, callbacks=list(callbacks), **arguments).history


def units(model):
    return [layer.units for layer in model.layers if hasattr(layer, "units")]


def kernels(model):
    found = [layer.kernel for layer in model.layers if hasattr(layer, "units")]
    return [keras.ops.convert_to_numpy(kernel) for kernel in found]


def zeros(model):
    return sum(int((kernel == 0).sum()) for kernel in kernels(model))


def kernel_size(model):
    return sum(kernel.size for kernel in kernels(model))


def state(model):
    variables = [*model.weights, *model.optimizer.variables]
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


class Widths(keras.callbacks.Callback):
    """Writes down the width that `one` had in every batch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(self.model.get_layer("one").units)


def test_the_model_gets_smaller_and_trains_on(toy_data):
    model = build(metrics=["accuracy"], **TRACED)
    layers, variables = list(model.layers), list(model.weights)
    before = Size.of(model)
    callback = ChannelPruning(0.5)
    history = fit(model, toy_data, callback, epochs=5)

    assert units(model) == [16, 24, 3]
    # In multiples of 8: 32, 24, 24, 16 and 48, 40, 32, 24.
    assert history["channels"] == [1.0, 0.8, 0.7, 0.5, 0.5]
    assert history["params"][0] == before.params
    assert history["params"][-1] == Size.of(model).params < before.params
    assert history["macs"][-1] == Size.of(model).macs
    assert np.isfinite(history["loss"]).all()
    assert all(a is b for a, b in zip(layers, model.layers, strict=True))
    assert all(a is b for a, b in zip(variables, model.weights, strict=True))
    assert callback.complete
    then = state(model)
    fit(model, toy_data, epochs=1)
    assert all(
        not np.array_equal(a, b)
        for a, b, v in zip(then, state(model), model.weights, strict=False)
        if v.trainable
    )


def test_a_residual_stream_is_cut_as_one():
    model = residual()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 6, 6, 1)).astype("float32")
    fit(model, (x, np.arange(32) % 3), ChannelPruning(0.5, round_to=4))

    sizes = {n: model.get_layer(n).filters for n in ("skip", "in", "last")}
    assert sizes == {"skip": 8, "in": 8, "last": 8}
    assert model.get_layer("stem").filters == 8


def test_the_result_is_an_ordinary_model(toy_data, tmp_path):
    model = build()
    fit(model, toy_data, ChannelPruning(0.5))
    model.save(tmp_path / "small.keras")
    again = keras.saving.load_model(tmp_path / "small.keras")
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())

    x = toy_data[0]
    for other in (again, twin):
        np.testing.assert_array_equal(
            other.predict(x, verbose=0), model.predict(x, verbose=0)
        )
    assert len(again.optimizer.variables) == len(model.optimizer.variables)


@pytest.mark.parametrize("allocation", ["uniform", "global"])
def test_macs_are_within_two_percent_of_the_request(toy_data, allocation):
    model = build()
    macs = Size.of(model).macs
    callback = ChannelPruning(
        0.6, target="macs", allocation=allocation, round_to=None
    )
    history = fit(model, toy_data, callback)

    assert 0.38 <= Size.of(model).macs / macs <= 0.4
    assert history["macs"][-1] == Size.of(model).macs


def test_rounded_widths_and_narrow_layers(toy_data):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            L.Dense(30, activation="relu"),
            L.Dense(6, activation="relu", name="narrow"),
            L.Dense(3),
        ]
    )
    callback = ChannelPruning(0.3)
    fit(compiled(model), toy_data, callback)

    assert units(model) == [16, 6, 3]
    assert dict(callback.report().skipped)["narrow"].startswith("has 6 units")


@pytest.mark.parametrize(
    ("ratio", "options", "fit_options", "widths"),
    [
        # Four equal cuts at 10, 27, 43 and 60 % of ten epochs.
        (0.5, {}, {"epochs": 10}, [32, 28, 28, 24, 24, 20, 16, 16, 16, 16]),
        (0.5, {"steps": 1}, {"epochs": 4}, [32, 16, 16, 16]),
        (0.5, {}, {"epochs": 2}, [32, 16]),
        (schedules.Constant(0.5), {}, {"epochs": 2}, [16, 16]),
        (
            schedules.Steps({"1ep": 0.25, "2ep": 0.5}),
            {},
            {"epochs": 3},
            [32, 24, 16],
        ),
        (
            schedules.Linear(final=0.5, begin=0.0, end=0.5),
            {"steps": 2},
            {"epochs": 4},
            [32, 24, 16, 16],
        ),
    ],
)
def test_cuts_come_at_epoch_begins(
    toy_data, ratio, options, fit_options, widths
):
    model, watch = build(), Widths()
    callback = ChannelPruning(ratio, round_to=4, **options)
    fit(model, toy_data, callback, watch, batch_size=32, **fit_options)

    assert watch.seen == [width for width in widths for _ in range(2)]


def test_a_fit_of_one_epoch_is_cut_between_its_batches(toy_data):
    model, watch = build(), Widths()
    fit(model, toy_data, ChannelPruning(0.5, steps=2), watch, epochs=1,
        batch_size=8)  # fmt: skip

    assert watch.seen == [32, 24, 24, 24, 24, 16, 16, 16]


def test_a_step_point_cuts_inside_an_epoch(toy_data):
    model, watch = build(), Widths()
    schedule = schedules.Constant(0.5, begin=3)
    history = fit(model, toy_data, ChannelPruning(schedule), watch, epochs=2)

    assert watch.seen == [32, 32, 32, 16, 16, 16, 16, 16]
    assert history["channels"] == [0.5, 0.5]


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_epochs_of_unknown_length_are_cut_too(toy_data):
    if not IS_TENSORFLOW:
        pytest.skip("a data set of unknown length that repeats is tf.data's")
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices(toy_data).batch(16)
    data = data.filter(lambda x, y: True)  # Its length is unknown now.
    model, watch = build(), Widths()
    callbacks = [ChannelPruning(0.5), watch]
    model.fit(data, epochs=4, verbose=0, shuffle=False, callbacks=callbacks)

    assert watch.seen == [32] * 4 + [24] * 4 + [16] * 8


def test_masks_of_pruning_stay_aligned(toy_data):
    class Check(keras.callbacks.Callback):
        leaks = 0
        shapes = set()

        def on_train_batch_end(self, batch, logs=None):
            store = MaskStore.of(self.model)
            weights = store.weights()
            for key, mask in store.masks().items():
                assert mask.shape == weights[key].shape
                self.leaks += int(np.count_nonzero(weights[key][~mask]))
                self.shapes.add(mask.shape)

    model, check = build(**TRACED), Check()
    pruning = Pruning(0.8, frequency=1)
    history = fit(
        model, toy_data, pruning, ChannelPruning(0.5), check, epochs=6
    )

    kernels = [
        layer.kernel for layer in model.layers if hasattr(layer, "units")
    ]
    zeros = sum(int((np.array(k) == 0).sum()) for k in kernels)
    assert check.leaks == 0
    assert {(8, 32), (8, 16), (16, 24)} <= check.shapes
    assert zeros == round(0.8 * sum(int(np.prod(k.shape)) for k in kernels))
    assert history["sparsity"][-1] == pytest.approx(0.8, abs=1e-3)
    assert pruning.report().sparsity == pytest.approx(0.8, abs=1e-3)


def test_a_cut_after_the_last_mask_update_keeps_the_sparsity(toy_data):
    model = build()
    pruning = Pruning(schedules.Constant(0.5))
    cut = ChannelPruning(schedules.Constant(0.5, begin="2ep"))
    history = fit(model, toy_data, pruning, cut)

    kernels = [
        layer.kernel for layer in model.layers if hasattr(layer, "units")
    ]
    zeros = sum(int((np.array(k) == 0).sum()) for k in kernels)
    assert zeros == round(0.5 * sum(int(np.prod(k.shape)) for k in kernels))
    assert history["sparsity"][-1] == pytest.approx(0.5, abs=1e-3)


def texts(told):
    ours = [w for w in told if issubclass(w.category, NoEffectWarning)]
    return [str(w.message) for w in ours]


class Crash(Exception):
    pass


class CrashAt(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise Crash


@pytest.mark.parametrize(
    ("epoch", "first"),
    [
        (2, True),
        (5, False),
        *(
            pytest.param(epoch, first, marks=pytest.mark.slow)
            for epoch, first in [(1, True), (1, False), (3, True), (2, False)]
        ),
    ],
)
def test_a_resumed_fit_equals_an_uninterrupted_one(
    toy_data, tmp_path, epoch, first
):
    def callbacks(*more):
        backup = keras.callbacks.BackupAndRestore(tmp_path)
        pair = [backup, ChannelPruning(0.5, round_to=4)]
        return [*(pair if first else pair[::-1]), *more]

    arguments = {"epochs": 6, "batch_size": 32, "shuffle": False}
    whole = build()
    history = fit(whole, toy_data, *callbacks(), **arguments)
    broken = build()
    with pytest.raises(Crash):
        fit(broken, toy_data, *callbacks(CrashAt(epoch)), **arguments)
    resumed, again = build(), callbacks()
    rest = fit(resumed, toy_data, *again, **arguments)

    assert all(c.complete for c in again if isinstance(c, ChannelPruning))
    assert rest["channels"] == history["channels"][-len(rest["channels"]) :]
    assert len(rest["loss"]) == 6 - epoch
    for mine, theirs in zip(state(resumed), state(whole), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_early_stopping_may_put_older_weights_back(toy_data):
    model = build()
    early = keras.callbacks.EarlyStopping(
        "loss", mode="max", patience=9, restore_best_weights=True
    )
    fit(model, toy_data, early, ChannelPruning(0.5), epochs=4)

    assert units(model) == [16, 24, 3]
    assert np.isfinite(model.evaluate(*toy_data, verbose=0))


def test_a_second_fit_goes_on_and_a_new_callback_cuts_again(toy_data):
    model, callback = build(), ChannelPruning(0.5)
    fit(model, toy_data, callback)
    fit(model, toy_data, callback, epochs=2)
    assert units(model) == [16, 24, 3]
    fit(model, toy_data, ChannelPruning(0.5), epochs=2)
    assert units(model) == [8, 8, 3]
    fresh = build()
    fit(fresh, toy_data, callback)
    assert units(fresh) == [16, 24, 3]


def test_a_fit_after_the_last_cut_may_be_of_any_length(toy_data):
    model = build()
    callback = ChannelPruning(schedules.Constant(0.5, begin="2ep"))
    fit(model, toy_data, callback, epochs=3)
    history = fit(model, toy_data, callback, epochs=1)

    assert units(model) == [16, 24, 3]
    assert history["channels"] == [0.5]


def test_latency_is_measured_once_and_few_times(toy_data):
    """At the first of four cuts, and on copies of the model."""
    seen = []

    def meter(model):
        seen.append(Size.of(model).macs)
        return float(seen[-1])

    model = build()
    macs = Size.of(model).macs
    callback = ChannelPruning(
        0.5, target="latency", meter=meter, round_to=None, min_channels=1
    )
    history = fit(model, toy_data, callback, epochs=10)

    assert seen[0] == macs
    assert len(seen) <= 8
    assert 0.45 <= Size.of(model).macs / macs <= 0.5
    assert len(set(history["channels"])) == 5
    assert any("latency measured" in note for note in callback.report().notes)


def test_the_default_meter_measures_a_model():
    assert 0 < measure_milliseconds(build()) < 1000


@pytest.mark.parametrize("score", ["taylor", "random", last_first])
def test_scores_choose_the_units(toy_data, score):
    model = build()
    names = {v.path: np.array(v) for v in model.weights}
    data = {"data": toy_data} if score == "taylor" else {}
    schedule = schedules.Constant(0.5)
    fit(model, toy_data, ChannelPruning(schedule, score=score, **data),
        epochs=1)  # fmt: skip

    assert units(model) == [16, 24, 3]
    assert len(names) == len(model.weights)


def test_a_callable_score_is_obeyed(toy_data):
    model = build(optimizer=keras.optimizers.SGD(0.0))
    kernel = np.array(model.get_layer("two").kernel)
    callback = ChannelPruning(
        schedules.Constant(0.5), score=last_first, include="two"
    )
    fit(model, toy_data, callback, epochs=1)

    np.testing.assert_array_equal(model.get_layer("two").kernel, kernel[:, 24:])


def test_batch_statistics_are_measured_anew(toy_data):
    models = []
    for recalibrate in (False, True):
        model = build(optimizer=keras.optimizers.SGD(0.0))
        callback = ChannelPruning(
            schedules.Constant(0.5),
            data=toy_data if recalibrate else None,
            recalibrate=recalibrate,
        )
        end = keras.callbacks.LambdaCallback(
            on_train_batch_begin=lambda batch, logs, model=model: models.append(
                np.array(model.get_layer("norm").moving_mean)
            )
        )
        fit(model, toy_data, callback, end, epochs=1, batch_size=64)

    plain, measured = models
    assert not plain.any()
    assert measured.all()


def test_a_fit_that_ends_early_says_so(toy_data):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    model = build()
    with pytest.warns(NoEffectWarning) as told:
        fit(model, toy_data, ChannelPruning(0.5), Stop(), epochs=10)

    assert texts(told) == [
        "ChannelPruning: training ended with 1 of 4 cuts made, 20% of the "
        "channels are gone. Train longer, or let the schedule reach 50% "
        "earlier."
    ]


def test_nothing_to_cut_is_told_once(toy_data):
    model = compiled(keras.Sequential([keras.Input((8,)), L.Dense(3)]))
    with pytest.warns(NoEffectWarning) as told:
        fit(model, toy_data, ChannelPruning(0.5))

    (text,) = texts(told)
    assert "no layer can be cut" in text
    assert "`include`" in text


def test_a_ratio_of_zero_changes_nothing(toy_data):
    plain, treated = build(), build()
    keras.utils.set_random_seed(1)
    fit(plain, toy_data)
    keras.utils.set_random_seed(1)
    history = fit(treated, toy_data, ChannelPruning(0.0))

    for mine, theirs in zip(state(treated), state(plain), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert history["channels"] == [1.0] * 4


def test_weights_that_are_not_finite_are_not_cut(toy_data):
    model = build()
    spoil = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: model.get_layer("one").kernel.assign(
            np.full((8, 32), np.nan)
        )
    )
    with pytest.warns(NoEffectWarning, match="a cut to 50% was left out"):
        fit(model, toy_data, spoil, ChannelPruning(0.5, steps=1), epochs=2)

    assert units(model) == [32, 48, 3]


def test_the_config_holds_every_argument(toy_data):
    callback = ChannelPruning(
        schedules.Linear(final=0.4),
        score=last_first,
        target="latency",
        allocation="global",
        steps=3,
        round_to=None,
        min_channels=4,
        include=["one", L.Dense],
        exclude="two",
        data=toy_data,
        recalibrate=True,
        meter=count_macs,
        allow_inexact=True,
        seed=3,
    )
    config = callback.get_config()
    again = ChannelPruning.from_config(config, data=toy_data)

    assert list(config) == [
        "ratio", "score", "target", "allocation", "steps", "round_to",
        "min_channels", "include", "exclude", "data", "recalibrate", "meter",
        "allow_inexact", "seed",
    ]  # fmt: skip
    assert again.get_config() == config
    assert again.meter is count_macs
    assert again.score is last_first
    for other in (
        copy.deepcopy(callback),
        pickle.loads(pickle.dumps(callback)),
    ):
        assert other.get_config() == config


def test_the_report_adds_up_the_cuts(toy_data):
    callback = ChannelPruning(0.5)
    with pytest.raises(ValueError, match="before asking for its report"):
        callback.report()
    model = build()
    before = Size.of(model)
    fit(model, toy_data, callback, epochs=10)
    report = callback.report()

    assert len(callback.reports) > 1
    assert [(r.layer, r.before, r.after) for r in report.widths] == [
        ("one", 32, 16), ("two", 48, 24)
    ]  # fmt: skip
    assert (report.before, report.after) == (before, Size.of(model))


BAD = {
    "ratio": (-0.1, "in [0, 1)"),
    "score": ("best", "'taylor'"),
    "target": ("speed", "'latency'"),
    "allocation": ("fair", "'isomorphic'"),
    "steps": (0, "at least 1"),
    "round_to": (0, "at least 1"),
    "min_channels": (0, "at least 1"),
    "seed": (-1, "at least 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_refused_at_construction(name):
    value, text = BAD[name]
    with pytest.raises(ValueError) as error:
        ChannelPruning(**{"ratio": 0.5, name: value})

    message = str(error.value)
    assert message.startswith(f"Argument `{name}` must ")
    assert text in message
    assert message.endswith(f"Received: {name}={value!r}")


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ({"ratio": None}, TypeError, "`ratio` must be a float in"),
        ({"steps": 2.0}, TypeError, "`steps` must be an integer"),
        ({"meter": 3}, TypeError, "`meter` must be a callable"),
        ({"recalibrate": True}, ValueError, "`data` must be given"),
        ({"score": "taylor"}, ValueError, "`data` must be given"),
    ],
)
def test_bad_types_are_refused_at_construction(arguments, kind, text):
    with pytest.raises(kind, match=text):
        ChannelPruning(**{"ratio": 0.5, **arguments})


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"include": "three"}, "`include` must match at least one layer"),
        ({"exclude": "three"}, "`exclude` must match at least one layer"),
        ({"include": "out"}, "reaches the output"),
        ({"score": lambda v: np.ones(2)}, "must return an array of shape"),
        (
            {"ratio": schedules.Constant(0.5, begin="9ep")},
            "behind the end of this fit",
        ),
        (
            {"ratio": schedules.Steps({0.1: 0.5, 0.6: 0.2})},
            "a schedule that never falls",
        ),
        (
            {"ratio": schedules.Linear(final=1.0)},
            r"a schedule with values in \[0, 1\), it reaches 1",
        ),
    ],
)
def test_what_does_not_fit_the_model_is_refused_before_training(
    toy_data, arguments, text
):
    model = build()
    before = model.get_weights()
    arguments = {"ratio": 0.5, **arguments}
    if callable(arguments.get("score")):
        keras.saving.register_keras_serializable("tests", "wrong_shape")(
            arguments["score"]
        )
    with pytest.raises(ValueError, match=text):
        fit(model, toy_data, ChannelPruning(**arguments))

    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_an_optimizer_that_cannot_follow_is_refused(toy_data):
    model = build(optimizer=keras.optimizers.Ftrl(0.01))
    with pytest.raises(ValueError, match="Ftrl"):
        fit(model, toy_data, ChannelPruning(0.5))


def test_a_subclassed_model_is_refused(toy_data):
    class Plain(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = L.Dense(3)

        def build(self, input_shape):
            self.dense.build(input_shape)
            self.built = True

        def call(self, inputs):
            return self.dense(inputs)

    model = Plain()
    model.build((None, 8))
    with pytest.raises(ValueError, match="subclassed"):
        fit(compiled(model), toy_data, ChannelPruning(0.5))
