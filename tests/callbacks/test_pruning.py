"""`Pruning` reaches its target, whatever the score and the schedule."""

import math

import keras
import numpy as np
import pytest
from callback_tools.pruning import fit, kernels, size, zeros

import keras_netopt as netopt
from keras_netopt.callbacks import Pruning
from keras_netopt.schedules import Cyclic, Linear, Polynomial
from keras_netopt.training import MaskStore


@pytest.mark.filterwarnings(
    "ignore::keras_netopt.warnings.LayerCollapseWarning"
)
@pytest.mark.parametrize("sparsity", [0.5, 0.9, 0.99, 0.999])
def test_the_count_of_zeros_is_exact(masked_mlp, toy_data, sparsity):
    model = masked_mlp()
    history = fit(model, toy_data, Pruning(sparsity, min_kept=0)).history

    assert zeros(model) == round(sparsity * size(model))
    assert history["sparsity"][-1] == zeros(model) / size(model)


def test_uniform_counts_are_exact_in_each_layer(masked_mlp, toy_data):
    model = masked_mlp()
    fit(model, toy_data, Pruning(0.7, allocation="uniform"))

    for kernel in kernels(model):
        assert (kernel == 0).sum() == round(0.7 * kernel.size)


def test_masks_nest_and_every_batch_leaves_exact_zeros(masked_mlp, toy_data):
    class Check(keras.callbacks.Callback):
        shares, masks = [], []

        def on_train_batch_end(self, batch, logs=None):
            store = MaskStore.of(self.model)
            weights = store.weights()
            for key, mask in store.masks().items():
                outside = weights[key][~mask]
                assert not outside.any() and not np.signbit(outside).any()
            self.shares.append(logs["sparsity"])
            self.masks.append(store.masks())

    check = Check()
    fit(masked_mlp(), toy_data, Pruning(0.8, frequency=1), check)

    assert len(check.shares) == 16
    assert check.shares == sorted(check.shares)
    assert len(set(check.shares)) > 5
    for before, after in zip(check.masks[:-1], check.masks[1:], strict=True):
        for key in before:
            assert not (after[key] & ~before[key]).any()


@pytest.mark.parametrize("batch_size", [64, 16])
def test_a_fit_of_few_steps_reaches_the_target(
    masked_mlp, toy_data, batch_size
):
    model = masked_mlp()
    fit(model, toy_data, Pruning(0.9), epochs=1, batch_size=batch_size)

    assert zeros(model) == round(0.9 * size(model))


def test_sparsity_zero_changes_nothing(make_mlp, traced_mlp, toy_data):
    plain = traced_mlp("sgd", dropout=0.0)
    pruned = make_mlp("sgd", dropout=0.0)
    fit(plain, toy_data, shuffle=False)
    fit(pruned, toy_data, Pruning(0.0), shuffle=False)

    for a, b in zip(plain.get_weights(), pruned.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_two_four_needs_no_sparsity(masked_mlp, toy_data):
    model = masked_mlp()
    fit(model, toy_data, Pruning(pattern="2:4"))

    for kernel in kernels(model):
        groups = (kernel != 0).reshape(-1, 4, kernel.shape[1])
        assert (groups.sum(axis=1) == 2).all()


def test_other_scores_choose_other_weights(masked_mlp, make_mlp, toy_data):
    """Statistics of gradients need a step of their own."""
    by_magnitude = masked_mlp()
    fit(by_magnitude, toy_data, Pruning(0.5))
    for score, make in {
        "taylor": lambda: make_mlp("sgd"),
        "movement": lambda: make_mlp("sgd"),
        "random": masked_mlp,
    }.items():
        other = make()
        fit(other, toy_data, Pruning(0.5, score=score))
        assert zeros(other) == zeros(by_magnitude), score
        assert any(
            not np.array_equal(a == 0, b == 0)
            for a, b in zip(kernels(by_magnitude), kernels(other), strict=True)
        ), score


def test_wanda_prunes_every_unit_alike(masked_mlp, toy_data):
    model = masked_mlp()
    fit(
        model,
        toy_data,
        Pruning(
            0.5,
            score="wanda",
            allocation="uniform",
            calibration_data=toy_data[0],
        ),
    )

    for kernel in kernels(model):
        assert ((kernel == 0).sum(axis=0) == kernel.shape[0] // 2).all()


def test_a_cyclic_schedule_lets_weights_return(masked_mlp, toy_data):
    schedule = Cyclic(final=0.5, begin=2, end=14, on=3, off=3)
    shares = []

    class Collect(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            shares.append(round(logs["sparsity"], 2))

    model = masked_mlp()
    fit(model, toy_data, Pruning(schedule), Collect())

    assert {0.0, 0.5} == set(shares)
    assert shares[0] == 0.0 and shares[1] == 0.5
    assert 0.0 in shares[2:]
    assert shares[-1] == 0.5


def test_a_fit_of_no_epochs_prunes_nothing(masked_mlp, toy_data):
    model = masked_mlp()
    fit(model, toy_data, Pruning(0.9), epochs=0)

    assert zeros(model) == 0


def test_layers_as_keys_of_an_allocation_are_saved(
    masked_mlp, toy_data, tmp_path
):
    model = masked_mlp()
    out = model.get_layer("out")
    fit(model, toy_data, Pruning(0.6, allocation={out: 0.25}))
    model.save(tmp_path / "m.keras")

    assert (out.get_weights()[0] == 0).mean() == 0.25


def test_an_unbuilt_model_is_pruned_after_its_first_batch(toy_data):
    model = keras.Sequential(
        [keras.layers.Dense(16, activation="relu"), keras.layers.Dense(3)]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    fit(model, toy_data, Pruning(0.8))

    assert zeros(model) == round(0.8 * size(model))


if keras.backend.backend() != "torch":  # Keras refuses it on torch.

    def test_steps_per_execution_gives_the_same_masks(make_mlp, toy_data):
        schedule = Polynomial(final=0.8, begin=4, end=12)
        one, four = (
            make_mlp("sgd", dropout=0.0),
            make_mlp("sgd", dropout=0.0, steps_per_execution=4),
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
        keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01)),
        keras.losses.SparseCategoricalCrossentropy(True),
    )
    fit(model, toy_data, Pruning(0.8))

    assert zeros(model) == round(0.8 * size(model))


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_generators_take_points_in_steps(masked_mlp, toy_data):
    x, y = toy_data

    def batches():
        for _ in range(8):
            yield x[:16], y[:16]

    model = masked_mlp()
    pruning = Pruning(Linear(final=0.5, begin=2, end=6))
    model.fit(batches(), verbose=0, shuffle=False, callbacks=[pruning])
    assert zeros(model) == round(0.5 * size(model))

    with pytest.raises(ValueError, match="needs the length of the `fit` call"):
        masked_mlp().fit(
            batches(), verbose=0, shuffle=False, callbacks=[Pruning(0.5)]
        )


def test_the_report_tells_what_was_skipped(masked_mlp, toy_data):
    model, pruning = masked_mlp(), Pruning(0.8, exclude="last")
    fit(model, toy_data, pruning)
    text = str(pruning.report())

    assert "excluded" in text
    assert "unstructured" in text
    assert "unstructured" in str(netopt.sparsity.report(model))


@pytest.mark.no_backend
def test_the_default_number_of_updates_is_bounded():
    run = netopt.points.RunLength(steps_per_epoch=469, epochs=4)
    points = Pruning(0.9).schedule.update_points(run)

    assert 20 <= len(points) <= 101
    assert points[0] == math.ceil(0.1 * run.total)
    assert points[-1] == 0.75 * run.total
