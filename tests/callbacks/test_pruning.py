"""`Pruning` reaches its target, says so, and refuses what cannot work."""

import math
import pickle

import keras
import numpy as np
import pytest

import keras_netopt as netopt
from keras_netopt.callbacks import Pruning
from keras_netopt.schedules import Constant, Cyclic, Linear, Polynomial
from keras_netopt.training import (
    MaskStore,
    NoEffectWarning,
    NotIntendedUseWarning,
)


def kernels(model):
    return [
        w
        for v, w in zip(model.weights, model.get_weights(), strict=True)
        if v.name == "kernel"
    ]


def zeros(model):
    return sum(int((k == 0).sum()) for k in kernels(model))


def size(model):
    return sum(k.size for k in kernels(model))


def fit(model, data, *callbacks, **arguments):
    arguments = {"epochs": 4, "batch_size": 16, "verbose": 0, **arguments}
    return model.fit(*data, callbacks=list(callbacks), **arguments)


@pytest.mark.parametrize("sparsity", [0.5, 0.9, 0.99, 0.999])
def test_the_count_of_zeros_is_exact(make_mlp, toy_data, sparsity):
    model = make_mlp()
    history = fit(model, toy_data, Pruning(sparsity, min_kept=0)).history

    assert zeros(model) == round(sparsity * size(model))
    assert history["sparsity"][-1] == zeros(model) / size(model)


def test_uniform_counts_are_exact_in_each_layer(make_mlp, toy_data):
    model = make_mlp()
    fit(model, toy_data, Pruning(0.7, allocation="uniform"))

    for kernel in kernels(model):
        assert (kernel == 0).sum() == round(0.7 * kernel.size)


def test_every_batch_leaves_exact_zeros(make_mlp, toy_data):
    class Check(keras.callbacks.Callback):
        shares = []

        def on_train_batch_end(self, batch, logs=None):
            store = MaskStore.of(self.model)
            weights = store.weights()
            for key, mask in store.masks().items():
                outside = weights[key][~mask]
                assert not outside.any() and not np.signbit(outside).any()
            self.shares.append(logs["sparsity"])

    check = Check()
    fit(make_mlp(), toy_data, Pruning(0.8, frequency=1), check)

    assert len(check.shares) == 16
    assert check.shares == sorted(check.shares)
    assert len(set(check.shares)) > 5


def test_masks_nest_while_sparsity_grows(make_mlp, toy_data):
    class Collect(keras.callbacks.Callback):
        masks = []

        def on_train_batch_end(self, batch, logs=None):
            self.masks.append(MaskStore.of(self.model).masks())

    collect = Collect()
    fit(make_mlp(), toy_data, Pruning(0.9, frequency=1), collect)

    for before, after in zip(
        collect.masks[:-1], collect.masks[1:], strict=True
    ):
        for key in before:
            assert not (after[key] & ~before[key]).any()


@pytest.mark.parametrize("batch_size", [64, 16])
def test_a_fit_of_few_steps_reaches_the_target(make_mlp, toy_data, batch_size):
    model = make_mlp()
    fit(model, toy_data, Pruning(0.9), epochs=1, batch_size=batch_size)

    assert zeros(model) == round(0.9 * size(model))


def test_sparsity_zero_changes_nothing(make_mlp, toy_data):
    plain, pruned = make_mlp(dropout=0.0), make_mlp(dropout=0.0)
    fit(plain, toy_data, shuffle=False)
    fit(pruned, toy_data, Pruning(0.0), shuffle=False)

    for a, b in zip(plain.get_weights(), pruned.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_two_four_needs_no_sparsity(make_mlp, toy_data):
    model = make_mlp()
    fit(model, toy_data, Pruning(pattern="2:4"))

    for kernel in kernels(model):
        groups = (kernel != 0).reshape(-1, 4, kernel.shape[1])
        assert (groups.sum(axis=1) == 2).all()


@pytest.mark.parametrize("score", ["saliency", "movement", "random"])
def test_other_scores_choose_other_weights(make_mlp, toy_data, score):
    by_magnitude, other = make_mlp(), make_mlp()
    fit(by_magnitude, toy_data, Pruning(0.5))
    fit(other, toy_data, Pruning(0.5, score=score))

    assert zeros(other) == zeros(by_magnitude)
    assert any(
        not np.array_equal(a == 0, b == 0)
        for a, b in zip(kernels(by_magnitude), kernels(other), strict=True)
    )


def test_wanda_prunes_every_unit_alike(make_mlp, toy_data):
    model = make_mlp()
    fit(
        model,
        toy_data,
        Pruning(0.5, score="wanda", allocation="uniform", data=toy_data[0]),
    )

    for kernel in kernels(model):
        assert ((kernel == 0).sum(axis=0) == kernel.shape[0] // 2).all()


def test_a_cyclic_schedule_lets_weights_return(make_mlp, toy_data):
    schedule = Cyclic(final=0.5, begin=2, end=14, on=3, off=3)
    shares = []

    class Collect(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            shares.append(round(logs["sparsity"], 2))

    model = make_mlp()
    fit(model, toy_data, Pruning(schedule), Collect())

    assert {0.0, 0.5} == set(shares)
    assert shares[0] == 0.0 and shares[1] == 0.5
    assert 0.0 in shares[2:]
    assert shares[-1] == 0.5


def test_a_second_fit_keeps_the_masks(make_mlp, toy_data):
    model, pruning = make_mlp(), Pruning(0.8)
    fit(model, toy_data, pruning)
    masks = MaskStore.of(model).masks()
    history = fit(model, toy_data, pruning).history

    assert set(history["sparsity"]) == {zeros(model) / size(model)}
    for key, mask in MaskStore.of(model).masks().items():
        np.testing.assert_array_equal(mask, masks[key])


def test_a_new_callback_goes_on_from_the_masks_in_force(make_mlp, toy_data):
    model = make_mlp()
    fit(model, toy_data, Pruning(0.5))
    masks = MaskStore.of(model).masks()
    history = fit(model, toy_data, Pruning(0.8)).history

    assert min(history["sparsity"]) >= 0.5
    assert zeros(model) == round(0.8 * size(model))
    for key, mask in MaskStore.of(model).masks().items():
        assert not (mask & ~masks[key]).any()


def test_a_second_fit_may_be_shorter_than_the_schedule(make_mlp, toy_data):
    model, pruning = make_mlp(), Pruning(Polynomial(final=0.8, end="3ep"))
    fit(model, toy_data, pruning)
    fit(model, toy_data, pruning, epochs=1)

    assert zeros(model) == round(0.8 * size(model))


def test_a_model_that_is_sparser_than_the_target_is_told(make_mlp, toy_data):
    model = make_mlp()
    fit(model, toy_data, Pruning(0.9))
    with pytest.warns(NoEffectWarning, match="nothing will be pruned"):
        fit(model, toy_data, Pruning(0.5))

    assert zeros(model) == round(0.9 * size(model))


def test_a_fit_of_no_epochs_prunes_nothing(make_mlp, toy_data):
    model = make_mlp()
    fit(model, toy_data, Pruning(0.9), epochs=0)

    assert zeros(model) == 0


def test_a_callback_pickles_its_settings(make_mlp, toy_data):
    pruning = Pruning(0.8, exclude="last")
    fit(make_mlp(), toy_data, pruning)
    again = pickle.loads(pickle.dumps(pruning))

    assert again.get_config() == pruning.get_config()


def test_evaluating_another_model_keeps_the_report(make_mlp, toy_data):
    model, pruning = make_mlp(), Pruning(0.8)
    fit(model, toy_data, pruning)
    before = pruning.report().to_dict()
    make_mlp().evaluate(*toy_data, verbose=0, callbacks=[pruning])

    assert pruning.report().to_dict() == before


def test_layers_as_keys_of_an_allocation_are_saved(
    make_mlp, toy_data, tmp_path
):
    model = make_mlp()
    out = model.get_layer("out")
    fit(model, toy_data, Pruning(0.6, allocation={out: 0.25}))
    model.save(tmp_path / "m.keras")

    assert (out.get_weights()[0] == 0).mean() == 0.25


@pytest.mark.parametrize(
    "arguments",
    [
        {"score": "wanda", "data": np.zeros((4, 5), "float32")},
        {"score": lambda weight: weight},
        {"score": lambda weight, target: weight[:1]},
    ],
)
def test_a_score_that_does_not_work_fails_before_the_first_step(
    make_mlp, toy_data, arguments
):
    model = make_mlp()
    before = model.get_weights()
    with pytest.raises((TypeError, ValueError)):
        fit(model, toy_data, Pruning(0.5, **arguments))

    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_fit_without_the_callback_stays_sparse(make_mlp, toy_data):
    model = make_mlp()
    fit(model, toy_data, Pruning(0.8))
    fit(model, toy_data)
    model.compile("sgd", model.loss)
    fit(model, toy_data)

    assert zeros(model) == round(0.8 * size(model))


def test_an_unbuilt_model_is_pruned_after_its_first_batch(toy_data):
    model = keras.Sequential(
        [keras.layers.Dense(16, activation="relu"), keras.layers.Dense(3)]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(True))
    fit(model, toy_data, Pruning(0.8))

    assert zeros(model) == round(0.8 * size(model))


def test_two_callbacks_share_a_model(make_mlp, toy_data):
    model = make_mlp()
    history = fit(
        model,
        toy_data,
        Pruning(0.9, include="hidden"),
        Pruning(pattern="2:4", include="out"),
    ).history
    hidden, out = kernels(model)

    assert (hidden == 0).sum() == round(0.9 * hidden.size)
    assert ((out != 0).reshape(-1, 4, 3).sum(axis=1) == 2).all()
    assert history["sparsity_1"][-1] == 0.5


def test_overlapping_callbacks_are_refused(make_mlp, toy_data):
    with pytest.raises(ValueError, match="must not select the same weights"):
        fit(make_mlp(), toy_data, Pruning(0.9), Pruning(0.5, include="out"))


def test_early_stopping_may_restore_before_us(make_mlp, toy_data):
    model = make_mlp()
    early = keras.callbacks.EarlyStopping(
        "loss", patience=50, mode="max", restore_best_weights=True
    )
    with pytest.warns(NoEffectWarning, match="put denser weights back"):
        fit(model, toy_data, early, Pruning(0.8))

    assert zeros(model) == round(0.8 * size(model))


def test_early_stopping_behind_us_is_refused(make_mlp, toy_data):
    early = keras.callbacks.EarlyStopping("loss", restore_best_weights=True)
    with pytest.raises(ValueError) as error:
        fit(make_mlp(), toy_data, Pruning(0.8), early)

    assert str(error.value) == (
        "Pruning must come after EarlyStopping, which would otherwise undo "
        "its work. Use callbacks=[EarlyStopping, Pruning]. Received: "
        "callbacks=[Pruning, EarlyStopping]"
    )


def test_a_checkpoint_before_us_is_warned_of(make_mlp, toy_data, tmp_path):
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "m.keras")
    with pytest.warns(NotIntendedUseWarning, match="before ModelCheckpoint"):
        fit(make_mlp(), toy_data, checkpoint, Pruning(0.8))


def test_training_that_stops_early_is_finished_and_told(make_mlp, toy_data):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    model = make_mlp()
    with pytest.warns(NoEffectWarning) as warned:
        fit(model, toy_data, Pruning(0.8), Stop())

    assert zeros(model) == round(0.8 * size(model))
    told = [w for w in warned if w.category is NoEffectWarning]
    assert len(told) == 1
    assert str(told[0].message).startswith(
        "Pruning: training ended at step 8, before the end of the schedule at "
        "step 12: sparsity "
    )


def test_a_target_out_of_reach_is_told(make_mlp, toy_data):
    with pytest.warns(NoEffectWarning, match="leave no more weights"):
        fit(make_mlp(), toy_data, Pruning(0.9, min_kept=40))


def test_nothing_selected_is_told(toy_data):
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.BatchNormalization(momentum=0.9)]
    )
    model.compile("sgd", "mse")
    with pytest.warns(NoEffectWarning, match="no weight was selected") as told:
        fit(model, (toy_data[0], toy_data[0]), Pruning(0.8))

    assert len([w for w in told if w.category is NoEffectWarning]) == 1


def test_diverged_weights_leave_masks_and_training_alone(make_mlp, toy_data):
    class Break(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                kernel = self.model.get_layer("hidden").kernel
                kernel.assign(np.full(kernel.shape, np.nan))

    with pytest.warns(NoEffectWarning, match="weights are not finite"):
        fit(make_mlp(), toy_data, Pruning(0.8, frequency=1), Break())


def test_steps_per_execution_gives_the_same_masks(make_mlp, toy_data, backend):
    if backend == "torch":
        pytest.skip("Keras refuses steps_per_execution on torch")
    schedule = Polynomial(final=0.8, begin=4, end=12)
    one, four = (
        make_mlp(dropout=0.0),
        make_mlp(dropout=0.0, steps_per_execution=4),
    )
    for model in (one, four):
        fit(
            model,
            toy_data,
            Pruning(schedule, frequency=4),
            shuffle=False,
        )

    for a, b in zip(kernels(one), kernels(four), strict=True):
        np.testing.assert_array_equal(a == 0, b == 0)


def test_mixed_precision_keeps_exact_zeros(toy_data):
    inputs = keras.Input((8,))
    hidden = keras.layers.Dense(16, dtype="mixed_float16", name="a")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3, name="b")(hidden))
    model.compile(
        keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01)),
        keras.losses.SparseCategoricalCrossentropy(True),
    )
    fit(model, toy_data, Pruning(0.8))

    assert zeros(model) == round(0.8 * size(model))


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_generators_take_points_in_steps(make_mlp, toy_data):
    x, y = toy_data

    def batches():
        for _ in range(8):
            yield x[:16], y[:16]

    model = make_mlp()
    pruning = Pruning(Linear(final=0.5, begin=2, end=6))
    model.fit(batches(), verbose=0, shuffle=False, callbacks=[pruning])
    assert zeros(model) == round(0.5 * size(model))

    with pytest.raises(ValueError, match="needs the length of the fit"):
        make_mlp().fit(
            batches(), verbose=0, shuffle=False, callbacks=[Pruning(0.5)]
        )


def test_the_report_tells_what_was_skipped(make_mlp, toy_data):
    model, pruning = make_mlp(), Pruning(0.8, exclude="last")
    fit(model, toy_data, pruning)
    text = str(pruning.report())

    assert "excluded" in text
    assert "unstructured" in text
    assert "unstructured" in str(netopt.sparsity.report(model))


def test_evaluate_and_predict_leave_the_model_alone(make_mlp, toy_data):
    model, pruning = make_mlp(), Pruning(0.8)
    x, y = toy_data
    before = model.get_weights()
    model.evaluate(x, y, verbose=0, callbacks=[pruning])
    model.predict(x, verbose=0, callbacks=[pruning])

    assert MaskStore.of(model) is None
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (
            {"sparsity": 1.2},
            ValueError,
            "Argument `sparsity` must be a float in [0, 1). "
            "Received: sparsity=1.2",
        ),
        (
            {"sparsity": -0.1},
            ValueError,
            "Argument `sparsity` must be a float in [0, 1). "
            "Received: sparsity=-0.1",
        ),
        (
            {"sparsity": True},
            TypeError,
            "Argument `sparsity` must be a float in [0, 1). "
            "Received: sparsity=True",
        ),
        (
            {"sparsity": None},
            ValueError,
            "Argument `sparsity` must be a float in [0, 1) with pattern "
            "unstructured. Received: sparsity=None",
        ),
        (
            {"sparsity": 0.9, "pattern": "2:4"},
            ValueError,
            "Argument `sparsity` must be left out with pattern 2:4, which "
            "fixes it at 0.5. Received: sparsity=0.9",
        ),
        (
            {"sparsity": 0.9, "frequency": 0},
            ValueError,
            "Argument `frequency` must be at least 1. Received: frequency=0",
        ),
        (
            {"sparsity": 0.9, "min_size": -1},
            ValueError,
            "Argument `min_size` must be an integer of at least 0. "
            "Received: min_size=-1",
        ),
        (
            {"sparsity": 0.9, "score": "wanda"},
            ValueError,
            "Argument `data` must hold calibration inputs for "
            "score='wanda', which is made from activations. "
            "Received: data=None",
        ),
    ],
)
def test_bad_arguments_fail_at_construction(arguments, kind, message):
    with pytest.raises(kind) as error:
        Pruning(**arguments)

    assert str(error.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"include": "no_such"}, "`include` must match at least one weight"),
        ({"exclude": "no_such"}, "`exclude` must match at least one weight"),
        (
            {"sparsity": Polynomial(final=0.5, begin=2, end=99)},
            "lies behind the end of this fit",
        ),
        ({"sparsity": None, "pattern": "1:7"}, "must fit at least one"),
        (
            {"sparsity": Constant(0.5), "score": "saliency"},
            "must begin after the first step",
        ),
        (
            {"sparsity": Linear(initial=1.5, final=0.5)},
            "must be a schedule with values in",
        ),
    ],
)
def test_what_does_not_fit_the_model_fails_before_the_first_step(
    make_mlp, toy_data, arguments, message
):
    model = make_mlp()
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        fit(model, toy_data, Pruning(**{"sparsity": 0.5, **arguments}))

    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_weights_that_are_not_finite_are_refused(make_mlp, toy_data):
    model = make_mlp()
    kernel = model.get_layer("hidden").kernel
    kernel.assign(np.full(kernel.shape, np.inf))

    with pytest.raises(ValueError, match="must be finite before pruning"):
        fit(model, toy_data, Pruning(0.5))


def test_the_config_holds_every_argument(make_mlp):
    model = make_mlp()
    pruning = Pruning(
        Polynomial(final=0.8, begin="1ep"),
        score="wanda",
        allocation={"hidden": 0.5},
        include=[model.get_layer("hidden"), keras.layers.Dense],
        exclude="first",
        frequency=5,
        data=np.zeros((4, 8)),
        min_size=2,
        min_kept=3,
        seed=4,
    )
    config = pruning.get_config()
    again = Pruning.from_config(config, data=np.zeros((4, 8)))

    assert again.get_config() == config
    assert again.schedule == pruning.schedule
    assert config["include"] == ["(^|/)hidden/", {"layer_class": "Dense"}]


def test_the_default_number_of_updates_is_bounded(make_mlp):
    run = netopt.points.RunLength(steps_per_epoch=469, epochs=4)
    points = Pruning(0.9).schedule.update_points(run)

    assert 20 <= len(points) <= 101
    assert points[0] == math.ceil(0.1 * run.total)
    assert points[-1] == 0.75 * run.total
