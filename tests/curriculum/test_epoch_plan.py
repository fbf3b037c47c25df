"""The epoch plan: active samples, counts, weights and reproducibility."""

import zlib

import numpy as np
import pytest

from keras_netopt.curriculum import (
    BabySteps,
    EasyFirst,
    EpochPlan,
    HardFirst,
    OnePass,
    RandomOrder,
    SelfPaced,
    Shuffle,
    make_plan,
)
from keras_netopt.curriculum.class_coverage import class_coverage

pytestmark = pytest.mark.no_backend

RNG = np.random.default_rng(0)
SCORES = RNG.permutation(200).astype("float64")
ORDERINGS = [
    EasyFirst(),
    HardFirst(),
    RandomOrder(),
    Shuffle(),
    BabySteps(4),
    OnePass(4),
    SelfPaced("linear"),
]


def plan_of(ordering, fraction=0.5, steps=12, **changed):
    arguments = {
        "scores": SCORES,
        "fractions": np.full(steps, fraction),
        "batch_size": 16,
        "ordering": ordering,
        **changed,
    }
    return make_plan(**arguments)


def digest(plan: EpochPlan) -> int:
    return zlib.crc32(plan.ids.tobytes() + plan.weights.tobytes())


@pytest.mark.parametrize("ordering", ORDERINGS, ids=repr)
@pytest.mark.parametrize("fraction", [0.25, 0.5, 1.0])
def test_only_active_samples_are_used_equally_often(ordering, fraction):
    plan = plan_of(ordering, fraction)
    counts = plan.sample_counts()
    active = plan.active_ids()

    assert plan.ids.shape == plan.weights.shape == (12, 16)
    assert counts.sum() == 12 * 16
    assert np.ptp(counts[active]) <= 1
    assert not np.delete(counts, active).any()


@pytest.mark.parametrize("ordering", ORDERINGS, ids=repr)
def test_weights_are_one_on_average(ordering):
    plan = plan_of(ordering)
    assert plan.weights.sum() == pytest.approx(12 * 16, rel=1e-4)
    assert plan.weights.dtype == "float32"


def test_seed_and_epoch_decide_the_order():
    plans = [
        plan_of(EasyFirst(), seed=seed, epoch=epoch)
        for seed, epoch in ((0, 0), (1, 0), (0, 1))
    ]
    assert len({digest(plan) for plan in plans}) == 3
    assert digest(plan_of(EasyFirst())) == digest(plans[0])


def test_every_process_and_backend_makes_the_same_plan():
    """Recorded once; random numbers of NumPy do not change."""
    plan = plan_of(SelfPaced("linear"), epoch=3, seed=5)
    assert digest(plan) == 1958935686


def test_a_growing_active_set_is_used_equally_often():
    """Samples that become active during a pass join that pass."""
    fractions = np.linspace(0.2, 0.6, 12)
    plan = plan_of(EasyFirst(), fractions=fractions)
    counts, first = plan.sample_counts(), plan.active_ids(0)

    assert np.ptp(counts[first]) <= 1
    assert counts.max() <= counts[first].min() + 1
    for step, ids in enumerate(plan.ids):
        assert set(ids) <= set(plan.active_ids(step))
    late = np.setdiff1d(plan.active_ids(8), first)
    assert counts[late].any()


def test_a_growing_active_set_is_sampled_evenly_within_an_epoch():
    """A pass must not end with the newest, hardest samples only."""
    samples, steps = 4000, 80
    scores = np.arange(samples, dtype="float64")
    fractions = np.linspace(0.5, 1.0, steps)
    shares = []
    for seed in range(5):
        plan = make_plan(
            scores, fractions, batch_size=50, ordering=EasyFirst(), seed=seed
        )
        newest = samples * 0.9 * fractions[:, None]
        shares.append((plan.ids >= newest).mean(axis=1))
    last = np.mean(shares, axis=0)[-10:]
    assert last.mean() == pytest.approx(0.1, abs=0.03)


def test_a_batch_uses_the_active_set_of_its_step():
    fractions = np.where(np.arange(12) < 6, 0.25, 0.75)
    plan = plan_of(OnePass(2), fractions=fractions)
    easy = SCORES < 100
    assert easy[plan.ids[:6]].all()
    assert not easy[plan.ids[6:]].any()


def test_easy_sets_are_nested_and_hard_ones_their_mirror_image():
    easy, hard = (
        [set(plan_of(kind, f).active_ids()) for f in (0.25, 0.5, 1.0)]
        for kind in (EasyFirst(), HardFirst())
    )
    mirrored = [
        set(plan_of(EasyFirst(), f, scores=-SCORES).active_ids())
        for f in (0.25, 0.5, 1.0)
    ]
    assert easy[0] < easy[1] < easy[2] == set(range(200))
    assert easy[0] == set(np.argsort(SCORES)[:50])
    assert hard == mirrored
    assert not easy[1] & hard[1]


def test_the_random_control_ignores_scores_and_shuffle_takes_all():
    control = plan_of(RandomOrder()).active_ids()
    np.testing.assert_array_equal(
        control, plan_of(RandomOrder(), scores=-SCORES).active_ids()
    )
    assert len(control) == len(plan_of(EasyFirst()).active_ids())
    assert set(plan_of(RandomOrder(), seed=1).active_ids()) != set(control)
    for fraction in (0.1, 0.5, 1.0):
        assert len(plan_of(Shuffle(), fraction).active_ids()) == 200


def test_equal_scores_come_in_the_order_of_the_data():
    plan = plan_of(EasyFirst(), 0.25, scores=np.zeros(200))
    np.testing.assert_array_equal(plan.active_ids(), np.arange(50))


def test_difficulty_type_value():
    scores = np.concatenate([np.arange(100.0), np.full(100, 400.0)])
    plan = plan_of(EasyFirst(), 0.1, scores=scores, difficulty_type="value")
    assert len(plan.active_ids()) == 41
    assert len(plan_of(EasyFirst(), 0.1, scores=scores).active_ids()) == 20


def test_no_set_is_smaller_than_a_batch():
    assert len(plan_of(EasyFirst(), 0.001).active_ids()) == 16


@pytest.mark.parametrize(
    "ordering",
    [EasyFirst(), HardFirst(), OnePass(4), SelfPaced("hard")],
    ids=repr,
)
def test_classes_keep_half_of_their_share(ordering, sorted_classes):
    """By the scores alone the first samples would have one class."""
    scores, labels = sorted_classes
    for fraction in (0.2, 0.4, 0.8):
        plan = plan_of(
            ordering, fraction, scores=scores, labels=labels, batch_size=10
        )
        assert class_coverage(plan.active_ids(), labels) >= 0.5
        uncovered = plan_of(ordering, fraction, scores=scores, batch_size=10)
        if fraction == 0.2:
            assert class_coverage(uncovered.active_ids(), labels) == 0.0


def test_samples_kept_for_class_coverage_have_weight(sorted_classes):
    scores, labels = sorted_classes
    plan = plan_of(
        SelfPaced("linear"),
        0.2,
        scores=scores,
        labels=labels,
        batch_size=10,
    )
    rare = labels[plan.ids] == 3
    assert rare.any()
    assert (plan.weights[rare] > 0.1).all()
