"""Models that are built by their data come back with their weights."""

import keras
import keras_tuner
import numpy as np
import pytest
from search import toys

from keras_netopt.search.running.input_structure import (
    call_on_zeros,
    describe_call,
)

COUNTS = (toys.X > 0).astype("int32")


class Net(keras.Model):
    """A subclassed model without a shape, of one kind of inputs."""

    def __init__(self, kind, units):
        super().__init__()
        self.kind = kind
        if kind != "list":
            self.table = keras.layers.Embedding(2, units)
        if kind != "integers":
            self.first = keras.layers.Dense(units)
        self.last = keras.layers.Dense(1)

    def call(self, inputs, training=False):
        if self.kind == "dict":
            parts = [self.first(inputs["p"]), self.table(inputs["q"][:, 0])]
        elif self.kind == "list":
            parts = [self.first(inputs[0]), self.first(inputs[1])]
        else:
            parts = [keras.ops.one_hot(inputs[:, 0], 2)]
            parts += [self.table(inputs[:, 0])]
        return self.last(keras.ops.concatenate(parts, axis=-1))


INPUTS = {
    "dict": {"p": toys.X, "q": COUNTS},
    "list": [toys.X, toys.X**2],
    "integers": COUNTS,
}


class Nets(keras_tuner.HyperModel):
    def __init__(self, kind, is_compiled):
        super().__init__()
        self.kind, self.is_compiled = kind, is_compiled

    def build(self, hp):
        model = Net(self.kind, hp.Int("units", 2, 5))
        if self.is_compiled:
            model.compile("sgd", "mse", run_eagerly=True)
        return model

    def fit(self, hp, model, x, y, callbacks=(), **kwargs):
        if self.is_compiled:
            return model.fit(x, y, callbacks=callbacks, **kwargs)
        answers = keras.ops.convert_to_numpy(model(x))
        for callback in callbacks:
            callback.set_model(model)
            callback.on_epoch_end(0, {"loss": float(np.mean(answers**2))})
        return float(np.mean(answers**2))


@pytest.mark.parametrize(
    "kind, is_compiled",
    [("dict", True), ("list", False), ("integers", False)],
)
def test_a_subclassed_model_comes_back(tuner, kind, is_compiled):
    def make():
        hypermodel = Nets(kind, is_compiled)
        return tuner(hypermodel, toys.random_oracle(toys.lowest("loss"), 2))

    made, x = make(), INPUTS[kind]
    options = {"batch_size": 16, "verbose": 0} if is_compiled else {}
    made.search(x, toys.Y, **options)
    [model] = make().get_best_models()
    best = made.oracle.get_best_trials()[0]
    assert model.last.units == 1 and model.built
    if not is_compiled:
        answers = keras.ops.convert_to_numpy(model(x))
        assert best.score == pytest.approx(np.mean(answers**2), rel=1e-5)
    else:
        assert int(model.optimizer.iterations.numpy()) == 1
    saved = made.load_model(best)
    for one, other in zip(
        model.get_weights(), saved.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_a_call_on_zeros_leaves_the_random_state():
    class Random(keras.Model):
        def __init__(self):
            super().__init__()
            self.built = True

        def call(self, pair, scale=1.0):
            self.seen = pair, scale
            return keras.random.normal((2,)) + np.random.rand() * scale

    args = (toys.X, [COUNTS, None])
    found = describe_call((args,), {"scale": 2.0, "training": object()})
    model, other = Random(), Random()
    keras.utils.set_random_seed(1)
    wanted = keras.ops.convert_to_numpy(model(args))
    keras.utils.set_random_seed(1)
    call_on_zeros(other, found)
    (x, [counts, nothing]), scale = other.seen
    assert tuple(x.shape) == (1, 1) and scale == 2.0
    assert keras.backend.standardize_dtype(counts.dtype) == "int32"
    assert nothing is None and not np.any(keras.ops.convert_to_numpy(x))
    again = keras.ops.convert_to_numpy(model(args))
    np.testing.assert_array_equal(again, wanted)
    assert describe_call((object(),), {}) is None
    assert describe_call(({1: toys.X},), {}) is None


def test_models_whose_weights_were_deleted_are_refused(run):
    found = run(keep_weights="best")
    best = found.oracle.get_best_trials()[0].trial_id
    with pytest.raises(ValueError) as error:
        found.get_best_models(2)
    assert 'Argument `keep_weights` must be "all"' in str(error.value)
    assert f"the weights of trials ['{best}'] exist" in str(error.value)
    assert found.get_best_models(1)


class Validated(keras_tuner.HyperModel):
    """Logs `val_loss` as `fit` does with `validation_freq`."""

    def build(self, hp):
        hp.Float("x", 0.0, 1.0)
        return toys.dense()


@pytest.mark.parametrize(
    "frequency, score_epoch, steps",
    [(2, "best", [1, 3]), ([1, 3], "last", [0, 2])],
)
def test_epochs_without_the_objective_are_not_reported(
    tuner, frequency, score_epoch, steps
):
    made = tuner(
        Validated(), toys.random_oracle(trials=1), score_epoch=score_epoch
    )
    data = (toys.X, toys.Y)
    options = {"validation_data": data, "validation_freq": frequency}
    made.search(*data, epochs=5, batch_size=16, verbose=0, **options)
    trial = made.oracle.trials["0"]
    assert trial.status == "COMPLETED"
    name = "val_loss" if score_epoch == "best" else "epoch/val_loss"
    history = trial.metrics.get_history(name)
    assert [one.step for one in history] == steps
    assert trial.metrics.get_last_value("epochs") == 5
    [model] = made.get_best_models()
    assert trial.best_step == steps[-1]
    assert int(model.optimizer.iterations.numpy()) == steps[-1] + 1
    found = model.evaluate(*data, verbose=0)[0]
    assert trial.score == pytest.approx(found, rel=1e-5)


@pytest.mark.parametrize("frequency", [3, [4, 7]])
def test_a_search_that_never_validates_is_refused(tuner, frequency):
    made = tuner(Validated())
    with pytest.raises(ValueError, match="epochs 1 to 2: the objective is"):
        made.search(
            toys.X,
            toys.Y,
            epochs=2,
            verbose=0,
            validation_split=0.5,
            validation_freq=frequency,
        )
    assert not made.oracle.end_order


def test_a_history_without_reports_is_read(tuner):
    """`val_loss` has fewer values than epochs."""

    class Silent(Validated):
        def fit(self, hp, model, x, y):
            return model.fit(
                *(x, y),
                epochs=5,
                batch_size=16,
                validation_data=(x, y),
                validation_freq=2,
                verbose=0,
            )

    made = tuner(Silent(), toys.random_oracle(trials=1))
    made.search(toys.X, toys.Y)
    trial = made.oracle.trials["0"]
    assert trial.best_step == 3 and trial.metrics.exists("val_mae")
