"""`Pruning` and `SparseTraining` with scores that act before training."""

import keras
import numpy as np
import pytest
from callback_tools.pruning import fit, kernels, size, zeros

from keras_netopt import sparsity
from keras_netopt.callbacks import Pruning, SparseTraining
from keras_netopt.schedules import Constant, Linear
from keras_netopt.training import MaskStore

SCORES = ("snip", "grasp", "synflow")


@pytest.mark.parametrize("score", SCORES)
def test_the_masks_are_those_of_the_untrained_model(
    masked_mlp, toy_data, score
):
    model = masked_mlp()
    start = model.get_weights()
    callback = Pruning(0.5, score=score, calibration_data=toy_data)
    history = fit(model, toy_data, callback).history
    assert set(history["sparsity"]) == {0.5}
    assert zeros(model) == round(0.5 * size(model))
    masks = list(MaskStore.of(model).masks().values())
    model.set_weights(start)
    sparsity.prune(model, 0.5, score=score, calibration_data=toy_data)
    for mask, kernel in zip(masks, kernels(model), strict=True):
        assert np.array_equal(mask, kernel != 0)


def test_static_masks_of_snip_and_a_shuffled_control(masked_mlp, toy_data):
    found = []
    for control in (None, "shuffle_mask"):
        model = masked_mlp()
        callback = SparseTraining(
            0.5,
            score="snip",
            regrow=None,
            allocation="global",
            control=control,
            calibration_data=toy_data,
        )
        fit(model, toy_data, callback)
        found.append(list(MaskStore.of(model).masks().values()))
    for mask, shuffled in zip(*found, strict=True):
        assert mask.sum() == shuffled.sum()
    assert not all(map(np.array_equal, *found))


@pytest.mark.parametrize(
    "arguments",
    (
        {"sparsity": Linear(final=0.5)},
        {"sparsity": Constant(0.5, begin=0.5)},
        {"sparsity": 0.5, "frequency": 5},
    ),
)
def test_a_schedule_that_moves_is_refused(masked_mlp, toy_data, arguments):
    model = masked_mlp()
    before = model.get_weights()
    callback = Pruning(score="synflow", **arguments)
    with pytest.raises(ValueError) as error:
        fit(model, toy_data, callback)
    assert str(error.value).startswith(
        "Argument `sparsity` must be a number or schedules.Constant from the "
        "first step on, without `frequency`, because score='synflow' chooses "
        'the masks before training. For a schedule, use score="taylor" or '
        '"magnitude". Received: sparsity='
    )
    assert all(map(np.array_equal, before, model.get_weights()))


@pytest.mark.parametrize("make", (Pruning, SparseTraining))
def test_data_are_required_at_construction(make):
    with pytest.raises(ValueError, match="pass calibration_data=\\(x, y\\)"):
        make(0.5, score="grasp")
    make(0.5, score="synflow")


def test_a_score_object_is_part_of_the_config():
    callback = Pruning(0.5, score=sparsity.SynFlow(rounds=3))
    again = Pruning.from_config(
        keras.saving.deserialize_keras_object(
            keras.saving.serialize_keras_object(callback.get_config())
        )
    )
    assert again.pruner.score == sparsity.SynFlow(3)
