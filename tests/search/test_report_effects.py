"""What reports work out: importance, fronts, the place of a value."""

from pathlib import Path

import numpy as np
import pytest

import keras_netopt as netopt
from keras_netopt.search.reports.hyperparameter_record import (
    HyperparameterRecord,
)
from keras_netopt.search.reports.main_effects import (
    explain_missing,
    main_effects,
)
from keras_netopt.search.reports.pareto_front import pareto_front
from keras_netopt.search.reports.project import Project, TrialRecord

pytestmark = pytest.mark.no_backend

PROJECTS = Path(__file__).parent / "projects"


def test_each_choice_is_compared_at_its_best():
    project = netopt.search.read_project(PROJECTS / "grid")
    lines = project.best_by("optimizer").splitlines()

    assert lines[3].split() == "│ adam │ 3 │ 0.3667 │ 0.3875 │".split()
    assert lines[4].split() == "│ sgd │ 3 │ 0.4667 │ 0.4875 │".split()
    with pytest.raises(ValueError, match="of the trials: optimizer, units"):
        project.best_by("rate")


def made(scores, values, space):
    trials = tuple(
        TrialRecord(str(i), "COMPLETED", score, values=value)
        for i, (score, value) in enumerate(zip(scores, values, strict=True))
    )
    return Project(Path("p"), trials, space)


def test_importance_is_the_share_of_the_variance_between_bins():
    """A choice and a number, worked out by hand: the variance is 1.5."""
    space = (
        HyperparameterRecord("a", choices=("x", "y")),
        HyperparameterRecord("b", 0, 3),
    )
    values = [{"a": a, "b": b} for a in "xyxy" for b in (0, 1, 2, 3)]
    project = made([1, 2, 3, 4, 2, 3, 4, 5] * 2, values, space)
    first, second = main_effects(project)

    # Less what chance gives: 15 / (16 - bins) of the variance within bins.
    assert first.name == "b"
    assert first.share == pytest.approx(1 - 0.25 / 1.5 * 15 / 12)
    assert [(b.label, b.count, b.mean, b.best) for b in first.bins] == [
        ("0", 4, 1.5, 1.0),
        ("1", 4, 2.5, 2.0),
        ("2", 4, 3.5, 3.0),
        ("3", 4, 4.5, 4.0),
    ]
    assert second.name == "a"
    assert second.share == pytest.approx(1 - 1.25 / 1.5 * 15 / 14)
    assert [(b.label, b.count, b.mean, b.best) for b in second.bins] == [
        ("x", 8, 2.5, 1.0),
        ("y", 8, 3.5, 2.0),
    ]


def test_numbers_are_cut_into_eight_bins_of_equal_size():
    space = (HyperparameterRecord("rate", 0.0, 1.0),)
    rates = np.random.default_rng(0).permutation(80) / 80
    project = made(rates**2, [{"rate": float(r)} for r in rates], space)
    (effect,) = main_effects(project)

    assert [one.count for one in effect.bins] == [10] * 8
    assert 0.95 < effect.low < effect.share < effect.high <= 1.0


@pytest.mark.parametrize("effect", [0.0, 1.0])
def test_the_interval_holds_the_share_of_many_trials(effect):
    """Of 200 searches of 40 trials, 95 % hold what 20,000 trials show."""
    space = (HyperparameterRecord("a", choices=(0, 1, 2)),)
    rng = np.random.default_rng(0)

    def search(n):
        values = rng.integers(0, 3, n)
        scores = effect * values + rng.normal(size=n)
        names = [{"a": int(one)} for one in values]
        return main_effects(made(scores.tolist(), names, space))[0]

    wanted = search(20_000).share
    found = [search(40) for _ in range(200)]
    inside = sum(one.low <= wanted <= one.high for one in found)

    assert wanted == pytest.approx(0.4 * effect, abs=0.02)
    assert inside / 200 > 0.9
    if not effect:
        assert np.mean([one.share for one in found]) < 0.04


def test_the_interval_is_that_of_leaving_out_one_trial_at_a_time():
    rng = np.random.default_rng(1)
    space = (HyperparameterRecord("a", choices=("x", "y", "z")),)
    values = [{"a": one} for one in rng.permutation(list("xyz" * 5))]
    scores = rng.normal(size=15).tolist()
    (whole,) = main_effects(made(scores, values, space))
    left = []
    for i in range(15):
        rest = [s for k, s in enumerate(scores) if k != i]
        names = [v for k, v in enumerate(values) if k != i]
        within = 0.0
        for one in "xyz":
            own = [s for s, v in zip(rest, names, strict=True) if v["a"] == one]
            within += len(own) * np.var(own)
        total = 14 * np.var(rest)
        left.append(1 - within / total * 13 / 11)
    error = np.sqrt(14 / 15 * np.sum((left - np.mean(left)) ** 2))

    assert whole.high == pytest.approx(whole.share + 1.96 * error)


def test_a_conditional_counts_where_it_was_active():
    space = (
        HyperparameterRecord("rate", 0.0, 1.0),
        HyperparameterRecord("momentum", choices=(0.5, 0.9)),
    )
    values: list = [{"rate": i / 30} for i in range(30)]
    for i in range(12):
        values[i]["momentum"] = (0.5, 0.9)[i % 2]
    project = made(range(30), values, space)
    found = {effect.name: effect.trials for effect in main_effects(project)}

    assert found == {"rate": 30, "momentum": 12}


def test_a_single_value_is_no_lack_of_trials():
    space = (HyperparameterRecord("a", choices=(0,)),)
    project = made(range(24), [{"a": 0}] * 24, space)

    assert main_effects(project) == []
    assert explain_missing(project) is None


@pytest.mark.parametrize("choices", [4, 12])
def test_no_importance_from_too_few_trials(choices):
    """9 trials; fewer than 3 trials for each value."""
    space = (HyperparameterRecord("a", choices=tuple(range(choices))),)
    count = 9 if choices == 4 else 24
    values = [{"a": i % choices} for i in range(count)]
    project = made(range(count), values, space)

    assert main_effects(project) == []
    assert explain_missing(project) == (
        f"Importance for score: too few trials. {count} complete trials; at "
        "least 10 are needed in which a hyperparameter was active, and 3 for "
        "each of its values."
    )


def test_the_front_is_what_brute_force_finds():
    rng = np.random.default_rng(0)
    points = rng.integers(0, 9, (40, 3)).astype(float)
    trials = tuple(
        TrialRecord(
            str(i),
            "COMPLETED",
            a,
            metrics={
                "val_loss": ("min", {0: a}),
                "macs": ("min", {0: b}),
                "val_accuracy": ("max", {0: -c}),
            },
        )
        for i, (a, b, c) in enumerate(points)
    )
    project = Project(Path("p"), trials, objective="val_loss")
    chosen = pareto_front(project, ("val_loss", "macs", "val_accuracy"))
    beaten = [
        any((q <= p).all() and (q < p).any() for q in points) for p in points
    ]

    assert 1 < len(chosen) < 40
    assert {int(t.trial_id) for t in chosen} == set(
        np.flatnonzero(~np.array(beaten)).tolist()
    )


def test_the_front_trades_costs_and_leaves_stopped_trials_out():
    text = str(netopt.search.plots(PROJECTS / "stopped"))
    part = text.partition("Pareto front, complete trials")[2].splitlines()

    assert [line.split()[1] for line in part[4:6]] == ["6", "3"]
    assert part[6].startswith("└")


@pytest.mark.parametrize(
    ("dimension", "value", "unit"),
    [
        (HyperparameterRecord("a", 2, 6), 3, 0.25),
        (HyperparameterRecord("a", 1e-4, 1.0, "log"), 1e-2, 0.5),
        (HyperparameterRecord("a", 1.0, 100.0, "reverse_log"), 91.0, 0.5),
        (HyperparameterRecord("a", choices=(1, 2, 3)), 2, 0.5),
        (HyperparameterRecord("a", choices=(1, 2, 3)), 9, None),
        (HyperparameterRecord("a", 5, 5), 5, 0.5),
    ],
)
def test_values_have_a_place_between_0_and_1(dimension, value, unit):
    found = dimension.unit(value)
    assert found == (unit if unit is None else pytest.approx(unit))
