"""Points in epochs where the number of batches is unknown, in each callback."""

import itertools

import keras
import numpy as np
import pytest
from callback_tools.no_length import without_length
from callback_tools.pruning import size, zeros

from keras_netopt import layers, schedules
from keras_netopt.callbacks import (
    ChannelPruning,
    Growing,
    ParameterScheduler,
    Pruning,
    SelectiveBackprop,
    SparseTraining,
)
from keras_netopt.surgery.growing.actions import Widen
from keras_netopt.surgery.growing.triggers import Every
from keras_netopt.training import MaskStore

pytestmark = pytest.mark.filterwarnings(
    "ignore:Your input ran out of data:UserWarning"
)


def train(model, data, *callbacks, epochs=4):
    return model.fit(
        without_length(*data),
        epochs=epochs,
        verbose=0,
        shuffle=False,
        callbacks=list(callbacks),
    ).history


def schedule(**points):
    return schedules.Polynomial(final=0.5, **points)


def test_a_ramp_in_epochs_equals_that_of_a_known_length(masked_mlp, toy_data):
    found = {}
    for known in (True, False):
        model = masked_mlp()
        pruning = Pruning(schedule(begin="1ep", end="3ep"))
        if known:
            logs = model.fit(
                *toy_data,
                batch_size=16,
                epochs=4,
                verbose=0,
                shuffle=False,
                callbacks=[pruning],
            ).history
        else:
            logs = train(model, toy_data, pruning)
        found[known] = logs["selected_sparsity"]

    assert found[False] == found[True]
    assert 0 < found[True][1] < 0.5 == pytest.approx(found[True][2], abs=0.01)


def test_masks_move_before_the_length_is_known(masked_mlp, toy_data):
    shares = schedules.Cosine(initial=0.5, final=0.0, begin=0.0, end="3ep")
    sparse = SparseTraining(0.5, drop_fraction=shares, frequency=3)
    masks = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            masks.append(MaskStore.of(self.model).masks())

    train(masked_mlp(), toy_data, sparse, Watch())
    moved = [
        step + 2
        for step, (a, b) in enumerate(itertools.pairwise(masks))
        if any(not np.array_equal(a[key], b[key]) for key in a)
    ]

    assert moved == [3, 6, 9]


@pytest.mark.parametrize(
    "points",
    [
        {"begin": "0ep", "end": "2ep"},
        {"begin": 0, "end": "1ep"},
        {"begin": "4ep", "end": "4ep"},
    ],
    ids=str,
)
def test_every_point_in_epochs_is_reached(masked_mlp, toy_data, points):
    model = masked_mlp()
    train(model, toy_data, Pruning(schedule(**points)))

    assert zeros(model) == round(0.5 * size(model))


def test_the_error_names_what_was_written(masked_mlp, toy_data):
    ends = (
        "so it needs the length of the `fit` call, which is unknown: its data "
        "have no length. Pass `steps_per_epoch=` to `fit`, or write the "
        "points in epochs or steps, as in "
    )
    for pruning, starts, remedy in (
        (
            Pruning(0.8),
            "Argument `sparsity` follows by default a schedule in fractions "
            "of the fit (Polynomial, 0.1, 0.75), ",
            "`sparsity=netopt.schedules.Polynomial(final=0.8, "
            'begin="1ep", end="3ep")`. Received: sparsity=0.8',
        ),
        (
            Pruning(schedule(begin=0.3, end="4ep")),
            "Argument `sparsity` has points in fractions of the fit (0.3), ",
            "`begin=\"2ep\", end='4ep'`. Received: sparsity="
            + repr(schedule(begin=0.3, end="4ep")),
        ),
        (
            SparseTraining(0.8),
            "Argument `drop_fraction` follows by default a schedule in "
            "fractions of the fit (Cosine, 0.75), ",
            "`drop_fraction=netopt.schedules.Cosine(initial=0.3, final=0, "
            'begin=0.0, end="3ep")`. Received: drop_fraction=0.3',
        ),
        (
            ParameterScheduler("rate", {0.0: 0.0, 0.5: 0.1}, include="drop"),
            "Argument `schedule` has points in fractions of the fit (0.5), ",
            '`{"2ep": 0.1}`. Received: schedule=',
        ),
    ):
        scheduled = isinstance(pruning, ParameterScheduler)
        model = dropping() if scheduled else masked_mlp()
        with pytest.raises(ValueError) as error:
            train(model, toy_data, pruning)
        assert str(error.value).startswith(starts + ends + remedy)


def test_points_after_the_last_epoch_are_refused(masked_mlp, toy_data):
    with pytest.raises(ValueError, match="after the end of .* 4 epochs"):
        train(
            masked_mlp(),
            toy_data,
            Pruning(schedule(begin="1ep", end="5ep")),
        )


def dropping():
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.StochasticDepth(keras.layers.Dense(8), name="drop"),
            keras.layers.Dense(3),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def test_scheduled_values_follow_epochs(toy_data):
    ramp = schedules.Linear(final=0.4, begin="0ep", end="2ep")
    scheduler = ParameterScheduler("rate", ramp)
    history = train(dropping(), toy_data, scheduler)

    # The value of the first epoch's begin holds until its length is known.
    assert history["scheduled_rate"] == pytest.approx([0.2, 0.4, 0.4, 0.4])
    with pytest.raises(ValueError, match=r"must stay in \[0, 1\)?"):
        bad = schedules.Linear(final=1.5, begin="1ep", end="2ep")
        train(dropping(), toy_data, ParameterScheduler("rate", bad))


def test_a_window_in_epochs_selects(traced_mlp, toy_data):
    backprop = SelectiveBackprop(0.5, begin="1ep", end="3ep", interrupt=0)
    train(traced_mlp("sgd"), toy_data, backprop)

    assert backprop.selected_steps == 2 * 4


def test_channels_are_cut_at_epochs(make_mlp, toy_data):
    sizes = Sizes()
    cut = ChannelPruning(schedules.Constant(0.5, begin="2ep"), min_channels=2)
    train(make_mlp("sgd"), toy_data, cut, sizes)
    first, second, third, _ = sizes.seen

    assert first == second > third


@pytest.mark.parametrize("trigger", [{"2ep": [0]}, Every("2ep", times=1)])
def test_networks_grow_at_epochs(make_mlp, toy_data, trigger):
    sizes = Sizes()
    grow = Growing([Widen("hidden", factor=2)], trigger=trigger)
    train(make_mlp("sgd"), toy_data, grow, sizes)
    first, second, third, _ = sizes.seen

    assert first == second < third


class Sizes(keras.callbacks.Callback):
    """Parameters at the end of each epoch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(self.model.count_params())
