"""Data read one sample after the other, in the order of a plan."""

import numpy as np
import pytest

from keras_netopt import curriculum as engine
from keras_netopt.callbacks import Curriculum
from keras_netopt.curriculum import EasyFirst, OnePass, Shuffle, Stream
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
        **{"buffer": BUFFER, **changed},
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
def test_only_samples_in_play_are_dealt(ordering, fractions):
    plan = plan_of(ordering, fractions)
    assert plan.ids.shape == (12, BATCH)
    for step, ids in enumerate(plan.ids):
        assert np.isin(ids, plan.active(step)).all()


@pytest.mark.parametrize("fraction", [0.3, 1.0])
def test_samples_in_play_are_used_alike(fraction):
    plan = plan_of(EasyFirst(), np.full(12, fraction))
    counts = plan.counts()[plan.active()]
    assert counts.sum() == 12 * BATCH
    assert np.ptp(counts) <= 1


def test_no_more_samples_wait_than_the_buffer_holds():
    places = plan_of(EasyFirst(), np.linspace(0.2, 1.0, 12)).places
    for row in range(12):
        # Read by now, and served by this batch or later.
        late = places[row:][places[row:] <= places[: row + 1].max()]
        assert len(late) <= BUFFER


def test_the_buffer_mixes_and_epochs_begin_elsewhere():
    plans = [plan_of(EasyFirst(), np.full(12, 0.5), epoch=e) for e in (0, 1)]
    first, second = (plan.ids.reshape(-1) for plan in plans)

    assert not np.array_equal(np.sort(first[:BATCH]), first[:BATCH])
    assert not np.array_equal(first, second)
    starts = [plan.places.min() for plan in plans]
    assert starts[0] != starts[1]
    again = plan_of(EasyFirst(), np.full(12, 0.5), epoch=1)
    np.testing.assert_array_equal(again.ids, plans[1].ids)


def test_over_many_epochs_the_early_samples_come_no_more_often():
    counts = sum(
        plan_of(EasyFirst(), np.full(12, 0.6), epoch=e).counts()
        for e in range(100)
    )
    active = np.flatnonzero(counts)
    early, late = counts[active[:60]].mean(), counts[active[-60:]].mean()
    assert early / late == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("fraction", [0.3, 1.0])
def test_the_stream_serves_what_the_plan_says(fraction):
    plan = plan_of(EasyFirst(), np.full(12, fraction))
    batches = list(Stream(dataset(), buffer=BUFFER).serve(plan.places))

    np.testing.assert_array_equal([y for _, y, _ in batches], plan.ids)
    np.testing.assert_array_equal([x[:, 0] for x, _, _ in batches], plan.ids)


def test_samples_come_by_number_wherever_the_reading_is():
    stream = Stream(dataset())
    for ids in ([3, 4], [5, 9], [2, 0], [199]):
        assert stream.fetch(np.array(ids))[1].tolist() == ids


def test_the_step_gets_what_is_planned(echo, received):
    numbers = np.arange(SAMPLES, dtype="float32")[:, None]
    data = tf.data.Dataset.from_tensor_slices((numbers, 0 * numbers))
    curriculum = Curriculum(
        Stream(data, buffer=BUFFER),
        difficulty=lambda x, y: -x[:, 0],
        pacing=Linear(initial=0.3, final=1.0, begin=0.0, end=1.0),
        labels=False,
    )
    model = echo()
    model.fit(
        curriculum.dataset(BATCH),
        epochs=2,
        verbose=0,
        callbacks=[curriculum, received],
    )
    shown = curriculum.shown()[1]

    assert shown.sum(axis=1).tolist() == [192, 192]
    assert not shown[0, :30].any()
    means = [sum(losses) * BATCH for losses in received.epochs]
    np.testing.assert_allclose(means, shown @ numbers[:, 0], rtol=1e-4)


def test_before_a_plan_samples_come_in_their_order():
    data = Curriculum(Stream(dataset()), difficulty=SCORES).dataset(BATCH)
    for _ in range(2):
        served = np.concatenate([x[:, 0] for x, *_ in data])
        np.testing.assert_array_equal(served, np.arange(192))


def test_what_needs_samples_by_number_is_refused(make_mlp):
    stream = Stream(dataset())
    with pytest.raises(ValueError, match="`workers` must be 0 or 1.*=3"):
        Curriculum(stream, difficulty=SCORES).dataset(8, workers=3)
    with pytest.raises(ValueError, match="for a DataLoader.*Stream"):
        Curriculum(stream, difficulty=SCORES).batch_sampler(8)
    folds = Curriculum(stream, difficulty=engine.CrossScored(make_mlp))
    with pytest.raises(ValueError, match="`difficulty` must not train models"):
        folds.suspects(1)


def test_what_cannot_be_streamed_is_refused():
    with pytest.raises(TypeError, match="`data` must be a tf.data.Dataset"):
        Stream(np.zeros(3))
    with pytest.raises(ValueError, match="pass `num_samples=`"):
        Stream(dataset().repeat())
    with pytest.raises(ValueError, match="at most the 200 samples"):
        Stream(dataset(), num_samples=201)
    with pytest.raises(
        ValueError, match="`buffer` must be an integer of at least 1"
    ):
        Stream(dataset(), buffer=0)
    short = dataset().filter(lambda x, y: y < 20)
    with pytest.raises(ValueError, match="at most the 20 samples"):
        Stream(short, num_samples=30).fetch(np.array([25]))
