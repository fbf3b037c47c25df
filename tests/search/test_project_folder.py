"""Searches whose project folder is shared, deleted or damaged."""

import concurrent.futures
import errno
import json
import os
import shutil
from pathlib import Path

import keras
import pytest
from search import toys

from keras_netopt import search
from keras_netopt.process_identity import ProcessIdentity

TRIALS = 3


class Eventful(toys.Curves):
    """Calls a function at the end of one epoch, counted over all trials."""

    def __init__(self, at=None, event=None):
        super().__init__()
        self.at, self.event = at, event
        self.epochs = 0

    def fit(self, hp, model, *args, callbacks=(), **kwargs):
        def end_epoch(epoch, logs):
            self.epochs += 1
            if self.epochs == self.at:
                self.event()

        event = keras.callbacks.LambdaCallback(on_epoch_end=end_epoch)
        more = [event, *callbacks]
        return super().fit(hp, model, *args, callbacks=more, **kwargs)


def ours(trials=TRIALS):
    return search.RandomSearchOracle(toys.lowest("v"), trials, seed=4)


def kerastuners(trials=TRIALS):
    return toys.random_oracle(toys.lowest("v"), trials)


@pytest.fixture(scope="module")
def plain(run_once):
    """A search that nothing disturbs: the trials of each oracle."""
    return {
        oracle: toys.summarize_trials(
            run_once(
                toys.Curves(), oracle(), project_name=oracle.__name__
            ).oracle
        )
        for oracle in (ours, kerastuners)
    }


@pytest.fixture(params=[ours, kerastuners], ids=["ours", "kerastuners"])
def oracle(request):
    return request.param


def read_files(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def write_foreign_lock(folder):
    owner = {**ProcessIdentity.own().to_dict(), "host": "elsewhere"}
    (folder / "search.lock").write_text(json.dumps(owner))


def test_a_second_search_is_refused_and_the_first_undisturbed(
    run, tuner, plain, tmp_path
):
    folder, refused = tmp_path / "p", []

    def search_too():
        before = read_files(folder)
        second = tuner(Eventful(), ours())
        with pytest.raises(RuntimeError) as raised:
            second.search(toys.X, toys.Y, validation_split=0.5, verbose=0)
        refused.append(str(raised.value))
        with pytest.raises(RuntimeError) as raised:
            tuner(Eventful(), ours(), overwrite=True)
        refused.append(str(raised.value))
        assert second.hypermodel.epochs == 0 and read_files(folder) == before

    first = run(Eventful(3, search_too), ours())
    for text in refused:
        assert f"process {os.getpid()} of " in text and str(folder) in text
    assert len(refused) == 2
    assert toys.summarize_trials(first.oracle) == plain[ours]
    assert not (folder / "search.lock").exists()
    again = tuner(Eventful(), ours(), overwrite=True)
    assert not again.oracle.trials and not list(folder.iterdir())


def test_a_worker_of_kerastuner_needs_no_lock_and_deletes_nothing(
    run, tuner, tmp_path, monkeypatch
):
    pytest.importorskip("grpc")
    run(oracle=ours(1), hypermodel=toys.Curves())
    folder = tmp_path / "p"
    write_foreign_lock(folder)
    before = read_files(folder)
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "1")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker0")
    worker = tuner(toys.Curves(), ours(), overwrite=True)
    with worker._hold_project():
        assert read_files(folder) == before
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    with pytest.raises(RuntimeError, match="on elsewhere"):
        tuner(toys.Curves(), ours(), overwrite=True)


def test_trials_of_a_later_search_are_not_replaced(run, tuner, tmp_path):
    early = tuner(Eventful(), ours())
    run(Eventful(), ours())
    before = read_files(tmp_path)
    message = "holds 3 trials, this tuner 0"
    with pytest.raises(ValueError, match=message):
        early.search(toys.X, toys.Y, validation_split=0.5, verbose=0)
    assert read_files(tmp_path) == before


def test_a_folder_that_vanishes_is_written_again(
    run, tuner, plain, oracle, tmp_path
):
    folder = tmp_path / "p"
    vanishing = Eventful(4, lambda: shutil.rmtree(folder))
    with pytest.warns(UserWarning, match=r"have vanished from .*p\. It goes"):
        found = run(vanishing, oracle())
    wanted = plain[oracle]
    assert toys.summarize_trials(found.oracle) == wanted
    assert vanishing.epochs == 2 * TRIALS  # None is trained again.
    resumed = tuner(Eventful(), oracle())
    assert toys.summarize_trials(resumed.oracle) == wanted
    kept = [len(list(p.glob("*.h5"))) for p in sorted(folder.glob("trial_*"))]
    assert kept == [0, 1, 1]


def test_a_trial_that_fails_as_its_folder_vanishes_is_tried_again(
    run, plain, oracle, tmp_path
):
    folder = tmp_path / "p"

    def vanish_and_fail():
        shutil.rmtree(folder)
        (folder / "mine").open("w")

    with pytest.warns(UserWarning, match="results of 2 trials"):
        found = run(Eventful(4, vanish_and_fail), oracle())
    assert toys.summarize_trials(found.oracle) == plain[oracle]


def test_workers_find_their_samples_in_a_folder_that_vanished(
    run, tuner, plain, tmp_path, monkeypatch
):
    monkeypatch.setattr("keras_netopt.search.running.worker.SMALL", 0)
    made = []

    class Vanishing(search.Tuner):
        def on_trial_end(self, trial):
            super().on_trial_end(trial)
            if not made:
                made.append(shutil.rmtree(self.project_dir))

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        found = Vanishing(
            toys.Curves(), ours(), directory=tmp_path, executor=pool
        )
        data = {"epochs": 2, "validation_split": 0.5, "batch_size": 16}
        with pytest.warns(UserWarning, match="have vanished"):
            found.search(toys.X, toys.Y, verbose=0, **data)
    assert toys.summarize_trials(found.oracle) == plain[ours]
    assert list(Path(found.project_dir).glob("data/*.npy"))


def test_a_search_whose_folder_is_taken_over_ends(run, tmp_path):
    """The folder was deleted, and another search began there."""
    folder = tmp_path / "p"

    def take_over():
        shutil.rmtree(folder)
        folder.mkdir()
        write_foreign_lock(folder)

    first = Eventful(4, take_over)
    with pytest.raises(RuntimeError, match=r"must end.*on elsewhere"):
        run(first, ours())
    assert first.epochs == 4
    assert not list(folder.glob("*.json"))
    assert not list(folder.glob("trial_*/trial.json"))
    assert (folder / "search.lock").exists()


def test_a_search_that_another_one_has_continued_ends(
    run, tuner, plain, oracle, tmp_path
):
    """Its process was silent; the other one has ended: no lock is there.

    The trials of both have the same ids.
    """
    folder, before = tmp_path / "p", {}

    def continue_elsewhere():
        (folder / "search.lock").unlink()
        run(toys.Curves(), oracle())
        before.update(read_files(folder))

    first = Eventful(3, continue_elsewhere)
    with pytest.raises(RuntimeError, match="must end.*holds 3 trials"):
        run(first, oracle())
    assert first.epochs == 3 and read_files(folder) == before
    found = tuner(Eventful(), oracle())
    assert toys.summarize_trials(found.oracle) == plain[oracle]


def test_a_tuner_may_know_more_than_its_folder(
    tuner, plain, oracle, monkeypatch
):
    """The disk was full when the second trial began."""
    made = tuner(Eventful(), oracle())
    save, saves = made.proxy.oracle.save, []

    def fail_once():
        saves.append(1)
        if len(made.proxy.oracle.trials) == 2 and None not in saves:
            saves.append(None)
            raise OSError(errno.ENOSPC, "No space left on device")
        save()

    arguments = {"validation_split": 0.5, "epochs": 2, "batch_size": 16}
    monkeypatch.setattr(made.proxy.oracle, "save", fail_once)
    with pytest.raises(OSError, match="No space"):
        made.search(toys.X, toys.Y, verbose=0, **arguments)
    state = json.loads(Path(made.project_dir, "oracle.json").read_text())
    assert len(state["start_order"]) == 1
    made.search(toys.X, toys.Y, verbose=0, **arguments)
    assert toys.summarize_trials(made.oracle) == plain[oracle]


def test_a_child_process_is_another_search(run, tmp_path, monkeypatch):
    made = run(Eventful(), ours(1))
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: 1)
        made.save()
    before = read_files(tmp_path)
    with pytest.raises(ValueError, match="has gone on"):
        made.search(toys.X, toys.Y, validation_split=0.5, verbose=0)
    assert read_files(tmp_path) == before


def damage(path, how):
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:25])


@pytest.mark.parametrize("how", ["missing", "torn"])
def test_a_search_goes_on_without_the_file_of_its_tuner(
    run, plain, oracle, tmp_path, how
):
    first = run(Eventful(), oracle(2)).oracle
    path = tmp_path / "p" / "tuner0.json"
    damage(path, how)
    with pytest.warns(UserWarning, match=f"file of the tuner.*{path}"):
        found = run(Eventful(), oracle())
    assert found.hypermodel.epochs == 2
    done = toys.summarize_trials(found.oracle)
    assert [one for one in done.values()] == list(plain[oracle].values())
    assert list(done)[:2] == list(first.trials)


@pytest.mark.parametrize("how", ["missing", "torn"])
def test_a_search_without_its_state_is_refused(
    run, tuner, oracle, tmp_path, how
):
    run(Eventful(), oracle())
    folder = tmp_path / "p"
    damage(folder / "oracle.json", how)
    before = read_files(folder)
    with pytest.raises(ValueError) as raised:
        tuner(Eventful(), oracle())
    for part in (f"{folder}/oracle.json", "overwrite=True", "leaderboard("):
        assert part in str(raised.value)
    if how == "missing":
        (folder / "tuner0.json").unlink()
        with pytest.raises(ValueError, match="holds 3 trials, but neither"):
            tuner(Eventful(), oracle())
        del before[folder / "tuner0.json"]
    assert read_files(folder) == before
    assert search.leaderboard(folder).to_dict()


@pytest.mark.parametrize("how", ["missing", "torn"])
def test_a_trial_without_its_file_is_skipped_and_named(
    run, plain, oracle, tmp_path, how
):
    run(Eventful(), oracle(2))
    [path] = tmp_path.glob("p/trial_0/trial.json")
    damage(path, how)
    with pytest.warns(UserWarning, match=f"Trial 0 is skipped.*{path}"):
        found = run(Eventful(), oracle())
    statuses = [one.status for one in found.oracle.trials.values()]
    assert statuses == ["INVALID", "COMPLETED", "COMPLETED"]
    assert found.hypermodel.epochs == 2
    best = min(trial[2] for trial in list(plain[oracle].values())[1:])
    assert found.oracle.get_best_trials(1)[0].score == best


def test_a_kill_between_two_files_repeats_no_trial_of_kerastuner(
    run, plain, tmp_path, monkeypatch
):
    """The trial ended, but the oracle's file does not say so yet."""
    made = kerastuners()
    whole = run(Eventful(), made).oracle
    path = tmp_path / "p" / "oracle.json"
    state = json.loads(path.read_text())
    last = state["end_order"].pop()
    state["ongoing_trials"] = {"tuner0": last}
    path.write_text(json.dumps(state))
    found = run(Eventful(), kerastuners())
    assert found.hypermodel.epochs == 0
    assert toys.summarize_trials(found.oracle) == plain[kerastuners]
    assert found.oracle.end_order == whole.end_order


def test_files_of_kerastuners_oracles_are_whole_or_absent(
    run, tuner, tmp_path, monkeypatch
):
    """A process that dies while it writes leaves the old file."""
    made = run(Eventful(), kerastuners()).oracle
    before = read_files(tmp_path)
    monkeypatch.setattr(os, "replace", lambda *_: 1 / 0)
    for write in (made.save, lambda: made._save_trial(made.trials["0"])):
        with pytest.raises(ZeroDivisionError):
            write()
    assert read_files(tmp_path) == before


def test_the_chiefs_search_goes_on_in_one_process(run, plain, tmp_path):
    """Their tuners have different names, and files."""
    run(Eventful(), ours(2))
    (tmp_path / "p/tuner0.json").rename(tmp_path / "p/chief.json")
    found = run(Eventful(), ours())
    assert found.hypermodel.epochs == 2
    assert list(toys.summarize_trials(found.oracle).values()) == list(
        plain[ours].values()
    )


def test_a_folder_of_kerastuners_oracle_is_named_and_can_be_learned_from(
    run, tuner, tmp_path
):
    run(Eventful(), kerastuners(2))
    before = read_files(tmp_path)
    folder = str(tmp_path / "p")
    objective = toys.lowest("v")
    for oracle in (
        search.RandomSearchOracle(objective, 4),
        search.HyperbandOracle(objective, 3),
        search.TPEOracle(objective, 4),
    ):
        with pytest.raises(ValueError, match="oracle of KerasTuner") as raised:
            tuner(Eventful(), oracle)
        assert f"warm_start={folder!r}" in str(raised.value)
    assert read_files(tmp_path) == before
    learned = search.TPEOracle(objective, 1, warm_start=folder)
    assert len(learned.warm_start) == 2
    again = run(Eventful(), kerastuners(3))
    assert again.hypermodel.epochs == 2  # The third trial alone.
