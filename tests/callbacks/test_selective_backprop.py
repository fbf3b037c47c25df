import warnings

import keras
import numpy as np
import pytest

from keras_netopt.callbacks import Curriculum, SelectiveBackprop
from keras_netopt.training import NoEffectWarning

BACKEND = keras.backend.backend()
ALWAYS = {"begin": 0.0, "end": 1.0, "interrupt": 0}
SPARSE = keras.losses.SparseCategoricalCrossentropy


def fit(model, data, *callbacks, **arguments):
    x, y = data
    options = {"batch_size": 16, "epochs": 1, "shuffle": False, "verbose": 0}
    return model.fit(
        x, y, callbacks=list(callbacks), **{**options, **arguments}
    ).history


def losses_of(model, data):
    z = keras.ops.convert_to_numpy(model(data[0], training=False))
    return losses_of_logits(z.astype("float64"), data[1])


def losses_of_logits(z, y):
    z = z - z.max(axis=1, keepdims=True)
    return np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), y]


def top_mean(values, keep, batch=16):
    count = int(batch * keep)
    return np.mean(
        [
            np.sort(values[i : i + batch])[-count:].mean()
            for i in range(0, len(values), batch)
        ]
    )


def no_norm(dropout=0.0, **arguments):
    """A model without batch statistics: training equals inference."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
    model.compile(keras.optimizers.SGD(0.0), SPARSE(True), **arguments)
    return model


MODES = [{}, {"run_eagerly": True}]
if BACKEND != "torch":
    MODES += [{"jit_compile": True}, {"steps_per_execution": 3}]


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_top_trains_on_the_largest_losses(toy_data, mode):
    model = no_norm(**mode)
    expected = top_mean(losses_of(model, toy_data), 0.25)
    selective = SelectiveBackprop(0.25, method="top", **ALWAYS)

    history = fit(model, toy_data, selective, epochs=2)

    assert history["loss"] == pytest.approx([expected] * 2, abs=1e-5)
    assert history["backward_fraction"] == [0.25, 0.25]
    assert selective.selected_steps == 8
    report = selective.report()
    assert (report.steps, report.selected_steps) == (8, 8)
    assert report.backward_fraction == pytest.approx(0.25)


def test_the_gradient_is_that_of_the_selected_samples(toy_data):
    x, y = toy_data
    model, twin = no_norm(), no_norm()
    for one in (model, twin):
        one.compile(keras.optimizers.SGD(0.5), SPARSE(True))
    order = np.argsort(losses_of(twin, toy_data))[-16:]
    selective = SelectiveBackprop(0.25, method="top", **ALWAYS)

    fit(model, toy_data, selective, batch_size=64)
    fit(twin, (x[order], y[order]), batch_size=16)

    for mine, theirs in zip(
        model.get_weights(), twin.get_weights(), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_percentile_samples_differ_by_step_and_repeat_with_the_seed(
    toy_data,
):
    def run(seed, epochs=6):
        selective = SelectiveBackprop(0.5, seed=seed, **ALWAYS)
        model = no_norm()
        return fit(model, toy_data, selective, batch_size=64, epochs=epochs)[
            "loss"
        ]

    first = run(0)
    assert len(set(first)) == len(first)
    assert run(0) == first
    assert run(1) != first
    full = losses_of(no_norm(), toy_data).mean()
    assert np.mean(first) > full


def test_begin_end_and_interrupt(toy_data):
    model = no_norm()
    full = losses_of(model, toy_data).mean()
    selective = SelectiveBackprop(
        0.5, method="top", begin=4, end=12, interrupt=5
    )
    history = fit(model, toy_data, selective, epochs=4)

    # Steps 5 and 10 are ordinary, and all from 12 on.
    assert history["backward_fraction"] == [1.0, 0.625, 0.625, 1.0]
    assert history["loss"][0] == pytest.approx(full, abs=1e-5)
    assert history["loss"][3] == pytest.approx(full, abs=1e-5)
    assert history["loss"][1] > full + 0.1
    assert selective.selected_steps == 6


def test_defaults_use_all_samples_in_the_first_half_and_at_the_end(toy_data):
    selective = SelectiveBackprop()
    history = fit(no_norm(), toy_data, selective, epochs=10)
    shares = history["backward_fraction"]
    assert shares[:5] == [1.0] * 5 and shares[9] == 1.0
    assert shares[5:9] == [0.75] * 4


def test_the_training_step_is_restored_after_fit(toy_data):
    model = no_norm()
    own = type(model).train_step
    full = losses_of(model, toy_data).mean()
    fit(model, toy_data, SelectiveBackprop(0.5, method="top", **ALWAYS))

    assert "train_step" not in vars(model)
    assert model.train_step.__func__ is own
    assert fit(model, toy_data)["loss"] == pytest.approx([full], abs=1e-5)


def test_a_failed_fit_leaves_no_selection(toy_data):
    class Broken(Exception):
        pass

    class Bomb(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise Broken

    model = no_norm()
    full = losses_of(model, toy_data).mean()
    selective = SelectiveBackprop(0.5, method="top", **ALWAYS)
    with pytest.raises(Broken):
        fit(model, toy_data, selective, Bomb())

    assert "train_step" not in vars(model)
    assert fit(model, toy_data)["loss"] == pytest.approx([full], abs=1e-5)
    expected = top_mean(losses_of(model, toy_data), 0.5)
    assert fit(model, toy_data, selective)["loss"] == pytest.approx(
        [expected], abs=1e-5
    )


def test_another_selection_after_a_failed_fit(toy_data):
    class Bomb(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise InterruptedError

    model = no_norm()
    own = fit(model, toy_data) and model.train_function
    with pytest.raises(InterruptedError):
        fit(model, toy_data, SelectiveBackprop(0.5, **ALWAYS), Bomb())
    selective = SelectiveBackprop(0.25, method="top", **ALWAYS)
    expected = top_mean(losses_of(model, toy_data), 0.25)

    found = fit(model, toy_data, selective)["loss"]
    assert found == pytest.approx([expected], abs=1e-5)
    assert model.train_function is own


def test_two_in_one_fit_raise(toy_data):
    selectives = [SelectiveBackprop(0.5), SelectiveBackprop(0.25)]
    with pytest.raises(ValueError, match="must be used once per `fit`"):
        fit(no_norm(), toy_data, *selectives)


def test_a_step_recompiled_by_another_callback_still_selects(toy_data):
    class Refresh(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.make_train_function(force=True)

    model = no_norm()
    expected = top_mean(losses_of(model, toy_data), 0.5)
    selective = SelectiveBackprop(0.5, method="top", **ALWAYS)
    history = fit(model, toy_data, selective, Refresh(), epochs=2)
    assert history["loss"] == pytest.approx([expected] * 2, abs=1e-5)


def test_several_inputs_outputs_and_weights(toy_data):
    x, y = toy_data
    inputs = {
        "a": keras.Input((8,), name="a"),
        "b": keras.Input((8,), name="b"),
    }
    z = keras.layers.Dense(4)(keras.layers.Add()(list(inputs.values())))
    outputs = {
        "one": keras.layers.Dense(3, name="one")(z),
        "two": keras.layers.Dense(1, name="two")(z),
    }
    model = keras.Model(inputs, outputs)
    model.compile(
        keras.optimizers.SGD(0.0),
        {"one": SPARSE(True), "two": "mse"},
        loss_weights={"one": 1.0, "two": 0.5},
    )
    targets = {"one": y, "two": x[:, :1]}
    data = ({"a": x, "b": -2 * x}, targets)
    answers = {
        k: keras.ops.convert_to_numpy(v) for k, v in model(data[0]).items()
    }
    each = losses_of_logits(answers["one"], y)
    each = each + 0.5 * ((answers["two"] - x[:, :1]) ** 2).mean(axis=1)
    selective = SelectiveBackprop(0.25, method="top", **ALWAYS)

    found = fit(model, data, selective)["loss"]
    assert found == pytest.approx([top_mean(each, 0.25)], abs=1e-5)


def test_token_losses_are_averaged_without_masked_tokens():
    rng = np.random.default_rng(0)
    x = rng.integers(1, 9, (32, 6))
    x[:, 4:] = 0  # Padding
    y = rng.integers(0, 4, (32, 6))
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            keras.layers.Embedding(9, 5, mask_zero=True),
            keras.layers.Dense(4),
        ]
    )
    model.compile(keras.optimizers.SGD(0.0), SPARSE(True))
    z = keras.ops.convert_to_numpy(model(x))
    tokens = losses_of_logits(z.reshape(-1, 4), y.reshape(-1)).reshape(32, 6)
    each = tokens[:, :4].mean(axis=1)
    selective = SelectiveBackprop(0.25, method="top", **ALWAYS)

    found = fit(model, (x, y), selective, batch_size=32)["loss"]
    assert found == pytest.approx([top_mean(each, 0.25, 32)], abs=1e-5)


def test_a_short_last_batch_and_an_unbuilt_model(toy_data):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.layers.Dense(3)])
    model.compile(keras.optimizers.SGD(0.0), SPARSE(True))
    data = toy_data[0][:26], toy_data[1][:26]
    selective = SelectiveBackprop(0.5, method="top", **ALWAYS)
    found = fit(model, data, selective, batch_size=20)["loss"]
    losses = losses_of(model, data)
    sums = np.sort(losses[:20])[-10:].sum() + np.sort(losses[20:])[-3:].sum()
    assert found == pytest.approx([sums / 13], abs=1e-5)


def test_no_effect_warns(toy_data):
    for arguments, options in (
        ({"begin": 0.9, "end": 0.9}, {}),
        ({}, {"batch_size": 64}),
        (ALWAYS, {"batch_size": 1, "steps_per_epoch": 3}),
    ):
        with warnings.catch_warnings(record=True) as records:
            warnings.simplefilter("always")
            fit(
                no_norm(run_eagerly=True),
                toy_data,
                SelectiveBackprop(0.5, **arguments),
                **options,
            )
        ours = [w for w in records if w.category is NoEffectWarning]
        assert len(ours) == 1, arguments


@pytest.mark.no_backend
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"keep_fraction": 0.0},
            r"`keep_fraction` must be a float in \(0, 1\). "
            r"Received: keep_fraction=0",
        ),
        (
            {"keep_fraction": 1.0},
            r"`keep_fraction` must be a float in \(0, 1\)",
        ),
        ({"keep_fraction": "half"}, "`keep_fraction` must be a number"),
        ({"method": "best"}, "`method` must be one of 'percentile', 'top'"),
        ({"begin": 0.8, "end": 0.2}, "`end` must be a point after `begin`"),
        ({"begin": 0.95}, "`end` must be a point after `begin`"),
        ({"end": "soon"}, "`end` must be a float"),
        ({"interrupt": 1}, "`interrupt` must be 0 or at least 2"),
        ({"seed": -1}, "`seed` must be an integer of at least 0"),
    ],
)
def test_wrong_arguments_raise(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        SelectiveBackprop(**arguments)


def test_a_model_without_a_loss_raises(toy_data):
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
    model.compile("sgd")
    with pytest.raises(ValueError, match="compiled with a loss"):
        fit(model, toy_data, SelectiveBackprop())


@pytest.fixture
def rho_data(toy_data):
    """Irreducible losses: large where the loss is large."""
    x, y = toy_data
    irreducible = 0.9 * losses_of(no_norm(), toy_data)
    irreducible[::3] = 0.0
    curriculum = Curriculum(x, y, ordering="shuffle")
    data = curriculum.dataset(64, irreducible_loss=irreducible)
    return irreducible, curriculum, data


def test_rho_trains_on_the_largest_reducible_losses(toy_data, rho_data):
    irreducible, curriculum, data = rho_data
    model = no_norm()
    losses = losses_of(model, toy_data)
    best = np.argsort(losses - irreducible)[-16:]
    assert set(best) != set(np.argsort(losses)[-16:])
    selective = SelectiveBackprop(0.25, method="rho")

    found = model.fit(
        data, epochs=2, verbose=0, callbacks=[curriculum, selective]
    ).history
    expected = [losses[best].mean()] * 2
    assert found["loss"] == pytest.approx(expected, abs=1e-5)
    assert found["backward_fraction"] == [0.25, 0.25]


def test_ordinary_steps_ignore_the_irreducible_loss(toy_data, rho_data):
    _, curriculum, data = rho_data
    model = no_norm()
    full = losses_of(model, toy_data).mean()
    selective = SelectiveBackprop(0.25, method="rho", begin=2)
    found = model.fit(
        data, epochs=4, verbose=0, callbacks=[curriculum, selective]
    ).history
    assert found["loss"][:2] == pytest.approx([full] * 2, abs=1e-5)
    assert found["loss"][2] != pytest.approx(full, abs=1e-3)
    assert found["backward_fraction"] == [1.0, 1.0, 0.25, 0.25]


def test_rho_without_its_curriculum_raises(toy_data, rho_data):
    """Batches without a plan have no irreducible losses."""
    error = ValueError
    if BACKEND == "tensorflow":
        from tensorflow.errors import InvalidArgumentError as error
    selective = SelectiveBackprop(method="rho")
    with pytest.raises(error, match="with the curriculum in `callbacks`"):
        no_norm().fit(rho_data[2], verbose=0, callbacks=[selective])


def test_rho_without_irreducible_loss_raises(toy_data):
    with pytest.raises(ValueError, match=r"pass `curriculum.dataset\("):
        fit(no_norm(), toy_data, SelectiveBackprop(method="rho"))


@pytest.mark.no_backend
def test_report_before_training_raises():
    with pytest.raises(ValueError, match="no trained step to report.*Received"):
        SelectiveBackprop().report()
