"""One finished search, its files, its figures and its report."""

import json
import shutil

import keras
import pytest
from damaged_files import find_unnamed
from search.morphism import networks
from search.morphism.networks import DATA, make, run

from keras_netopt.search.morphism.child_files import ChildFiles
from keras_netopt.search.morphism.journal import FILE


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A search of two children with one random control."""
    parent = networks.build_mlp()
    before = networks.state(parent)
    folder = tmp_path_factory.mktemp("search")
    tuner = run(make(parent, folder, controls=1))
    return tuner, parent, before


def test_the_parent_is_not_changed(finished):
    _, parent, before = finished
    assert networks.same(networks.state(parent), before)
    assert [one.name for one in parent.layers[1:]] == ["one", "two", "out"]


def test_each_trial_has_a_file_a_score_and_an_ancestor(finished):
    tuner, parent, _ = finished
    searched = [one for one in tuner.trials if one.is_searched]
    assert [one.role for one in searched] == ["parent", "child", "child"]
    for trial in tuner.trials:
        model = tuner.load_model(trial)
        assert model.count_params() == trial.params
        loss = model.evaluate(*DATA, verbose=0, return_dict=True)["loss"]
        assert loss == pytest.approx(trial.score, rel=1e-5)
        assert trial.score == trial.logs[-1]["val_loss"]
        before = 0
        if trial.parent is not None:
            before = int(tuner.load_model(trial.parent).optimizer.iterations)
        steps = int(model.optimizer.iterations)
        assert steps == before + trial.epochs
        assert trial.spent == 3 * 32 * trial.macs * trial.epochs
        assert trial.number == tuner.trials.index(trial)
    assert searched[0].params == parent.count_params()
    assert all(len(one.mutations) == 1 for one in searched[1:])


def test_the_best_is_the_lowest_loss_and_is_loaded_compiled(finished):
    tuner, _, _ = finished
    best = min(one.score for one in tuner.trials if one.is_searched)
    first, second = tuner.get_best_trials(2)
    assert first.score == best <= second.score
    model = tuner.get_best_models()[0]
    assert type(model.optimizer).__name__ == "SGD"
    rate = keras.ops.convert_to_numpy(model.optimizer.learning_rate)
    assert rate == pytest.approx(0.05)


def test_controls_are_as_long_as_the_lineage_of_the_best(finished):
    tuner, _, _ = finished
    report = tuner.report()
    steps = len(report.lineage) - 1
    assert steps >= 1
    for role, changed in (("random", True), ("continued", False)):
        own = [one for one in tuner.trials if one.role == role]
        assert len(own) == steps
        assert own[0].parent == 0
        assert all(bool(one.mutations) == changed for one in own)
    spent = sum(one.spent for one in report.lineage[1:])
    own = sum(one.spent for one in tuner.trials if one.role == "continued")
    one_epoch = 3 * 32 * report.parent.macs
    assert abs(own - spent) <= steps * one_epoch


def test_the_report_shows_parent_best_controls_and_compute(finished, tmp_path):
    tuner, _, _ = finished
    report = tuner.report()
    text = str(report)
    for part in ("parent", "random mutations", "trained on", "val_loss"):
        assert part in text
    values = json.loads(json.dumps(report.to_dict()))
    assert values["spent"] == sum(
        one.spent for one in tuner.trials if one.is_searched
    )
    assert values["random_scores"] and values["continued_score"]
    assert report.gain == pytest.approx(
        report.parent.score - report.best_trial.score
    )
    pytest.importorskip("matplotlib")
    report.plot(tmp_path / "tree.png")
    assert (tmp_path / "tree.png").stat().st_size > 5_000


def test_tables_are_printed(finished, capsys):
    tuner, _, _ = finished
    tuner.results_summary(2)
    tuner.search_space_summary()
    shown = capsys.readouterr().out
    assert "Best networks" in shown and "remove_block" not in shown
    assert "widen" in shown


def test_a_resumed_search_equals_an_uninterrupted_one(finished, tmp_path):
    tuner, parent, _ = finished
    folder = tmp_path / tuner.project_dir.name
    shutil.copytree(tuner.project_dir, folder)
    journal = json.loads((folder / FILE).read_text())
    journal["trials"] = journal["trials"][:2]
    (folder / FILE).write_text(json.dumps(journal))
    (folder / "trial-0002.keras").write_bytes(b"half")
    (folder / f"{FILE}.partial").write_bytes(b"{")

    resumed = run(make(parent, tmp_path, controls=1))

    assert [one.score for one in resumed.trials] == [
        one.score for one in tuner.trials
    ]
    for number in range(len(tuner.trials)):
        one, other = (t.load_model(number) for t in (tuner, resumed))
        assert networks.same(networks.state(one), networks.state(other))


def test_a_damaged_network_is_named(finished):
    tuner, parent, _ = finished
    path = tuner.project_dir / tuner.trials[1].file
    assert not find_unnamed(
        path,
        lambda copy: ChildFiles(copy.parent, parent, None).load(copy.name),
        remedy="`overwrite=True`",
    )


def test_time_limits_the_controls_too(finished, tmp_path):
    tuner, parent, _ = finished
    folder = tmp_path / tuner.project_dir.name
    shutil.copytree(tuner.project_dir, folder)
    journal = json.loads((folder / FILE).read_text())
    journal["trials"] = journal["trials"][:3]
    (folder / FILE).write_text(json.dumps(journal))
    late = run(make(parent, tmp_path, controls=1, max_time=1e-9))
    assert len(late.trials) == 3
    assert "`max_time`" in late.report().end


def test_a_finished_search_trains_nothing_more(finished):
    tuner, parent, _ = finished
    before = (tuner.project_dir / FILE).read_bytes()
    run(make(parent, tuner.project_dir.parent, controls=1))
    assert (tuner.project_dir / FILE).read_bytes() == before
