"""What reports work out: importance, fronts, the place of a value."""

from pathlib import Path

import numpy as np
import pytest

import keras_netopt as netopt
from keras_netopt.search.reports.hyperparameter_record import (
    HyperparameterRecord,
)
from keras_netopt.search.reports.main_effects import main_effects
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
    values = [{"a": a, "b": b} for a in "xy" for b in (0, 1, 2, 3)]
    project = made([1, 2, 3, 4, 2, 3, 4, 5], values, space)
    first, second = main_effects(project)

    assert (first.name, first.chance) == ("b", 1 / 7)
    assert first.share == pytest.approx(1.0 / 1.5)
    assert [(b.label, b.count, b.mean, b.best) for b in first.bins] == [
        ("0 to 1", 4, 2.0, 1.0),
        ("2 to 3", 4, 4.0, 3.0),
    ]
    assert (second.name, second.share) == ("a", pytest.approx(0.25 / 1.5))
    assert [(b.label, b.count, b.mean, b.best) for b in second.bins] == [
        ("x", 4, 2.5, 1.0),
        ("y", 4, 3.5, 2.0),
    ]


def test_numbers_are_cut_into_eight_bins_of_equal_size():
    space = (HyperparameterRecord("rate", 0.0, 1.0),)
    rates = np.random.default_rng(0).permutation(80) / 80
    project = made(rates**2, [{"rate": float(r)} for r in rates], space)
    (effect,) = main_effects(project)

    assert [one.count for one in effect.bins] == [10] * 8
    assert effect.share > 0.95
    assert effect.chance == 7 / 79


def test_a_conditional_counts_where_it_was_active():
    project = netopt.search.read_project(PROJECTS / "random")
    active = [t for t in project.trials if "momentum" in t.parameters]
    found = {effect.name: effect.trials for effect in main_effects(project)}

    assert 2 < len(active) < 8
    assert found["momentum"] == len(active)
    assert found["rate"] == 8


def test_no_importance_where_each_trial_has_its_own_bin():
    space = (HyperparameterRecord("a", choices=("x", "y")),)
    assert main_effects(made([1, 2], [{"a": "x"}, {"a": "y"}], space)) == []


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
