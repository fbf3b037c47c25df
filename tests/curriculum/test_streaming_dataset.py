"""Data that are read in order during training."""

import numpy as np
import pytest

from keras_netopt import curriculum as engine
from keras_netopt.callbacks import Curriculum
from keras_netopt.curriculum import (
    EasyFirst,
    OnePass,
    Shuffle,
    StreamingDataset,
    make_plan,
)
from keras_netopt.schedules import Linear

tf = pytest.importorskip("tensorflow")

SAMPLES, BUFFER, BATCH = 200, 40, 16
SCORES = np.random.default_rng(0).permutation(SAMPLES).astype("float64")


def plan_of(ordering, fractions, **changed):
    return engine.make_plan(
        SCORES,
        np.asarray(fractions, "float64"),
        batch_size=BATCH,
        ordering=ordering,
        **{"buffer_size": BUFFER, **changed},
    )


def dataset(count=SAMPLES):
    return tf.data.Dataset.from_tensor_slices(
        (np.arange(count, dtype="float32")[:, None], np.arange(count))
    )


@pytest.mark.parametrize(
    ("ordering", "fractions"),
    [
        (Shuffle(), np.ones(12)),
        (EasyFirst(), np.full(12, 0.3)),
        (EasyFirst(), np.linspace(0.1, 1.0, 12)),
        (OnePass(3), np.linspace(0.1, 1.0, 12)),
    ],
    ids=str,
)
def test_only_active_samples_are_planned(ordering, fractions):
    plan = plan_of(ordering, fractions)
    assert plan.ids.shape == (12, BATCH)
    for step, ids in enumerate(plan.ids):
        assert np.isin(ids, plan.active_ids(step)).all()


@pytest.mark.parametrize("fraction", [0.3, 1.0])
def test_active_samples_are_used_equally_often(fraction):
    plan = plan_of(EasyFirst(), np.full(12, fraction))
    counts = plan.sample_counts()[plan.active_ids()]
    assert counts.sum() == 12 * BATCH
    assert np.ptp(counts) <= 1


def test_the_buffer_holds_at_most_its_size():
    positions = plan_of(EasyFirst(), np.linspace(0.2, 1.0, 12)).stream_positions
    for row in range(12):
        # Read by now, and used by this batch or later.
        limit = positions[: row + 1].max()
        late = positions[row:][positions[row:] <= limit]
        assert len(late) <= BUFFER


def test_the_buffer_shuffles_and_epochs_begin_at_random():
    plans = [plan_of(EasyFirst(), np.full(12, 0.5), epoch=e) for e in (0, 1)]
    first, second = (plan.ids.reshape(-1) for plan in plans)

    assert not np.array_equal(np.sort(first[:BATCH]), first[:BATCH])
    assert not np.array_equal(first, second)
    starts = [plan.stream_positions.min() for plan in plans]
    assert starts[0] != starts[1]
    again = plan_of(EasyFirst(), np.full(12, 0.5), epoch=1)
    np.testing.assert_array_equal(again.ids, plans[1].ids)


def test_counts_do_not_depend_on_the_position_in_the_data():
    counts = sum(
        plan_of(EasyFirst(), np.full(12, 0.6), epoch=e).sample_counts()
        for e in range(100)
    )
    active = np.flatnonzero(counts)
    early, late = counts[active[:60]].mean(), counts[active[-60:]].mean()
    assert early / late == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("fraction", [0.3, 1.0])
def test_batches_follow_the_plan(fraction):
    plan = plan_of(EasyFirst(), np.full(12, fraction))
    stream = StreamingDataset(dataset(), buffer_size=BUFFER)
    batches = list(stream.iter_batches(plan.stream_positions))

    np.testing.assert_array_equal([y for _, y, _ in batches], plan.ids)
    np.testing.assert_array_equal([x[:, 0] for x, _, _ in batches], plan.ids)


def test_a_smaller_last_batch_is_read():
    plan = make_plan(
        SCORES,
        np.ones(7),
        batch_size=30,
        last_batch_size=20,
        buffer_size=BUFFER,
    )
    stream = StreamingDataset(dataset(), buffer_size=BUFFER)
    batches = [y for _, y, _ in stream.iter_batches(plan.stream_positions)]
    assert [len(batch) for batch in batches] == [30] * 6 + [20]
    np.testing.assert_array_equal(np.concatenate(batches), plan.planned_ids())
    assert plan.sample_counts().tolist() == [1] * SAMPLES


def test_samples_are_fetched_by_id_from_any_position():
    stream = StreamingDataset(dataset())
    for ids in ([3, 4], [5, 9], [2, 0], [199]):
        assert stream.fetch(np.array(ids))[1].tolist() == ids


def test_the_step_receives_the_planned_samples(echo, received):
    numbers = np.arange(SAMPLES, dtype="float32")[:, None]
    data = tf.data.Dataset.from_tensor_slices((numbers, 0 * numbers))
    curriculum = Curriculum(
        StreamingDataset(data, buffer_size=BUFFER),
        difficulty=lambda x, y: -x[:, 0],
        pacing=Linear(initial=0.3, final=1.0, begin=0.0, end=1.0),
        labels=False,
    )
    echo.fit(
        curriculum.dataset(BATCH),
        epochs=2,
        verbose=0,
        callbacks=[curriculum, received],
    )
    counts = curriculum.sample_counts()[1]

    assert counts.sum(axis=1).tolist() == [192, 192]
    assert not counts[0, :30].any()
    means = [sum(losses) * BATCH for losses in received.epochs]
    np.testing.assert_allclose(means, counts @ numbers[:, 0], rtol=1e-4)


def test_without_a_plan_the_order_is_natural():
    stream = StreamingDataset(dataset())
    data = Curriculum(stream, difficulty=SCORES).dataset(BATCH)
    for _ in range(2):
        read = np.concatenate([x[:, 0] for x, *_ in data])
        np.testing.assert_array_equal(read, np.arange(192))


def test_random_access_to_a_stream_raises(make_mlp):
    stream = StreamingDataset(dataset())
    with pytest.raises(ValueError, match="`workers` must be 0 or 1.*=3"):
        Curriculum(stream, difficulty=SCORES).dataset(8, workers=3)
    with pytest.raises(ValueError, match="for a DataLoader.*Stream"):
        Curriculum(stream, difficulty=SCORES).batch_sampler(8)
    folds = Curriculum(stream, difficulty=engine.CrossValidatedLoss(make_mlp))
    with pytest.raises(
        ValueError, match="`difficulty` must not train auxiliary"
    ):
        folds.hardest_samples(1)


def test_invalid_data_raise():
    with pytest.raises(TypeError, match="`data` must be a tf.data.Dataset"):
        StreamingDataset(np.zeros(3))
    with pytest.raises(ValueError, match="pass `num_samples=`"):
        StreamingDataset(dataset().repeat())
    with pytest.raises(ValueError, match="at most the 200 samples"):
        StreamingDataset(dataset(), num_samples=201)
    with pytest.raises(
        ValueError, match="`buffer_size` must be an integer of at least 1"
    ):
        StreamingDataset(dataset(), buffer_size=0)
    short = dataset().filter(lambda x, y: y < 20)
    with pytest.raises(ValueError, match="at most the 20 samples"):
        StreamingDataset(short, num_samples=30).fetch(np.array([25]))
