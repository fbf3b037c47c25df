"""`Pruning` in further fits and beside other callbacks."""

import pickle

import keras
import numpy as np
import pytest
from callback_tools.pruning import fit, kernels, size, zeros

from keras_netopt.callbacks import Pruning
from keras_netopt.schedules import Polynomial
from keras_netopt.training import (
    MaskStore,
    NoEffectWarning,
    NotIntendedUseWarning,
)


def test_a_second_fit_keeps_the_masks(masked_mlp, toy_data):
    model, pruning = masked_mlp(), Pruning(0.8)
    fit(model, toy_data, pruning)
    masks = MaskStore.of(model).masks()
    history = fit(model, toy_data, pruning).history

    assert set(history["sparsity"]) == {zeros(model) / size(model)}
    for key, mask in MaskStore.of(model).masks().items():
        np.testing.assert_array_equal(mask, masks[key])


def test_a_new_callback_goes_on_from_the_masks_in_force(masked_mlp, toy_data):
    model = masked_mlp()
    fit(model, toy_data, Pruning(0.5))
    masks = MaskStore.of(model).masks()
    history = fit(model, toy_data, Pruning(0.8)).history

    assert min(history["sparsity"]) >= 0.5
    assert zeros(model) == round(0.8 * size(model))
    for key, mask in MaskStore.of(model).masks().items():
        assert not (mask & ~masks[key]).any()


def test_a_second_fit_may_be_shorter_than_the_schedule(masked_mlp, toy_data):
    model, pruning = masked_mlp(), Pruning(Polynomial(final=0.8, end="3ep"))
    fit(model, toy_data, pruning)
    fit(model, toy_data, pruning, epochs=1)

    assert zeros(model) == round(0.8 * size(model))


def test_a_model_that_is_sparser_than_the_target_warns(masked_mlp, toy_data):
    model = masked_mlp()
    fit(model, toy_data, Pruning(0.9))
    with pytest.warns(NoEffectWarning, match="no weight will be pruned"):
        fit(model, toy_data, Pruning(0.5))

    assert zeros(model) == round(0.9 * size(model))


def test_a_callback_pickles_its_settings(masked_mlp, toy_data):
    pruning = Pruning(0.8, exclude="last")
    fit(masked_mlp(), toy_data, pruning)
    again = pickle.loads(pickle.dumps(pruning))

    assert again.get_config() == pruning.get_config()


def test_evaluating_another_model_keeps_the_report(masked_mlp, toy_data):
    model, pruning = masked_mlp(), Pruning(0.8)
    fit(model, toy_data, pruning)
    before = pruning.report().to_dict()
    masked_mlp().evaluate(*toy_data, verbose=0, callbacks=[pruning])

    assert pruning.report().to_dict() == before


def test_a_fit_without_the_callback_stays_sparse(make_mlp, toy_data):
    model = make_mlp("sgd")
    fit(model, toy_data, Pruning(0.8))
    fit(model, toy_data)
    model.compile("sgd", model.loss)
    fit(model, toy_data)

    assert zeros(model) == round(0.8 * size(model))


def test_two_callbacks_share_a_model(masked_mlp, toy_data):
    model = masked_mlp()
    history = fit(
        model,
        toy_data,
        Pruning(0.9, include="hidden"),
        Pruning(pattern="2:4", include="out"),
    ).history
    hidden, out = kernels(model)

    assert (hidden == 0).sum() == round(0.9 * hidden.size)
    assert ((out != 0).reshape(-1, 4, 3).sum(axis=1) == 2).all()
    assert history["selected_sparsity_1"][-1] == 0.5
    assert history["sparsity"][-1] == zeros(model) / size(model)


def test_overlapping_callbacks_are_refused(make_mlp, toy_data):
    with pytest.raises(ValueError, match="must not select the same weights"):
        fit(make_mlp(), toy_data, Pruning(0.9), Pruning(0.5, include="out"))


def test_early_stopping_may_restore_before_us(masked_mlp, toy_data):
    model = masked_mlp()
    early = keras.callbacks.EarlyStopping(
        "loss", patience=50, mode="max", restore_best_weights=True
    )
    with pytest.warns(NoEffectWarning, match="restored denser weights"):
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


def test_a_checkpoint_before_us_is_warned_of(masked_mlp, toy_data, tmp_path):
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "m.keras")
    with pytest.warns(NotIntendedUseWarning, match="before ModelCheckpoint"):
        fit(masked_mlp(), toy_data, checkpoint, Pruning(0.8), epochs=2)


def test_evaluate_and_predict_leave_the_model_alone(traced_mlp, toy_data):
    model, pruning = traced_mlp(), Pruning(0.8)
    x, y = toy_data
    before = model.get_weights()
    model.evaluate(x, y, verbose=0, callbacks=[pruning])
    model.predict(x, verbose=0, callbacks=[pruning])

    assert MaskStore.of(model) is None
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_config_holds_every_argument(make_mlp):
    model = make_mlp()
    pruning = Pruning(
        Polynomial(final=0.8, begin="1ep"),
        score="wanda",
        allocation={"hidden": 0.5},
        include=[model.get_layer("hidden"), keras.layers.Dense],
        exclude="first",
        frequency=5,
        calibration_data=np.zeros((4, 8)),
        min_size=2,
        min_kept=3,
        seed=4,
    )
    config = pruning.get_config()
    again = Pruning.from_config(config, calibration_data=np.zeros((4, 8)))

    assert again.get_config() == config
    assert again.schedule == pruning.schedule
    assert config["include"] == ["(^|/)hidden/", {"layer_class": "Dense"}]
