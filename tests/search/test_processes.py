"""Trials in other processes: pools, clusters, KerasTuner's own chief.

On one backend, see `conftest.py`.
"""

import concurrent.futures
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import keras_tuner
import pytest
from search import toys

from keras_netopt import search
from keras_netopt.search.running import isolated_worker, worker

TESTS = str(Path(__file__).parents[1])
V = toys.lowest("v")


def oracle(trials=4, **options):
    return toys.random_oracle(V, trials, **options)


def test_two_processes_find_what_one_finds(run, tmp_path):
    """The first trial kills its process, the last one raises."""
    three = {"trials": 3, "seed": 18}
    plain = run(toys.Curves(), oracle(**three), project_name="plain", folds=2)
    found = run(
        toys.Deadly(str(tmp_path)),
        oracle(**three),
        executor=search.local_processes(2),
        folds=2,
    )
    assert len(list(tmp_path.glob("*.died"))) == 1
    wanted, statuses = toys.summarize_trials(plain.oracle), []
    for name, trial in found.oracle.trials.items():
        statuses.append(trial.status)
        if trial.status == "COMPLETED":
            assert toys.summarize_trials(found.oracle)[name] == wanted[name]
            continue
        assert "ArithmeticError: too large" in trial.message
        path = tmp_path / "p" / f"trial_{name}" / "trial.json"
        saved = keras_tuner.engine.trial.Trial.load(str(path))
        assert saved.message == trial.message
    assert sorted(statuses) == ["COMPLETED"] * 2 + ["FAILED"]
    assert found.get_best_models(1)


@pytest.mark.slow
def test_a_trial_that_always_dies_fails_alone(run):
    found = run(
        toys.Deadly(),
        oracle(max_consecutive_failed_trials=9),
        executor=search.local_processes(2),
    ).oracle.trials.values()
    for trial in found:
        x = trial.hyperparameters.get("x")
        assert trial.status == ("COMPLETED" if 0.3 < x < 0.7 else "FAILED")
        dies = x < 0.3
        assert ("worker process died" in (trial.message or "")) == dies


@pytest.mark.slow
def test_a_stopper_ends_trials_in_other_processes(run):
    found = run(
        toys.Curves(),
        oracle(6),
        epochs=8,
        stopper=search.ASHA(eta=2),
        executor=search.local_processes(2),
    ).oracle.trials.values()
    spent = [trial.metrics.get_last_value("epochs") for trial in found]
    assert sum(spent) < 48
    assert {trial.status for trial in found} == {"COMPLETED"}


SCRIPT = """
    import os, signal, sys
    sys.path.insert(0, {tests!r})
    import keras
    from search import toys
    from keras_netopt import search

    class Killed(toys.Curves):
        def fit(self, hp, model, *args, callbacks=(), **kwargs):
            class Kill(keras.callbacks.Callback):
                def on_epoch_end(self, epoch, logs=None):
                    if {kill} and len(os.listdir({folder!r})) == 5 and epoch:
                        os.kill(os.getpid(), signal.SIGKILL)
            more = [Kill(), *callbacks]
            return super().fit(hp, model, *args, callbacks=more, **kwargs)

    {guard}
        tuner = search.Tuner(
            Killed(),
            oracle=toys.random_oracle(toys.lowest("v"), 4),
            directory={parent!r}, project_name="p", {options}
        )
        tuner.search(toys.X, toys.Y, batch_size=16, epochs=3,
                     validation_split=0.5, verbose=0)
        print(sorted(toys.summarize_trials(tuner.proxy.oracle).items()))
"""


def write_script(folder, *, kill=False, guard=True, options="", **environment):
    text = textwrap.dedent(SCRIPT).format(
        tests=TESTS,
        kill=kill,
        folder=str(folder / "p"),
        parent=str(folder),
        guard='if __name__ == "__main__":' if guard else "if True:",
        options=options,
    )
    path = folder / "script.py"
    path.write_text(text)
    return [sys.executable, str(path)], {**os.environ, **environment}


def run_script(*args, **options):
    command, environment = write_script(*args, **options)
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=180
    )


def test_a_killed_search_resumes(run, tmp_path):
    assert run_script(tmp_path, kill=True).returncode == -signal.SIGKILL
    again = run_script(tmp_path)
    assert again.returncode == 0, again.stderr
    whole = run(toys.Curves(), oracle(), epochs=3, project_name="whole")
    assert (
        str(sorted(toys.summarize_trials(whole.oracle).items())) in again.stdout
    )


@pytest.mark.slow
def test_a_script_without_its_guard_raises(tmp_path):
    found = run_script(
        tmp_path, guard=False, options="executor=search.local_processes(2)"
    )
    errors = found.stderr
    assert found.returncode == 1
    assert "Put the search under `if __name__ == '__main__':`" in errors
    assert "No worker process could start" in errors


@pytest.mark.slow
def test_kerastuners_chief_and_workers_do_the_same(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = {
        "KERASTUNER_ORACLE_IP": "127.0.0.1",
        "KERASTUNER_ORACLE_PORT": str(port),
    }
    options = "stopper=search.ASHA(eta=2)"
    with concurrent.futures.ThreadPoolExecutor(3) as threads:
        running = [
            threads.submit(
                run_script,
                tmp_path,
                options=options,
                KERASTUNER_TUNER_ID=name,
                **where,
            )
            for name in ("chief", "worker0", "worker1")
        ]
        for one in running:
            assert one.result().returncode == 0, one.result().stderr
    statuses = re.findall(
        r'"status": "(\w+)"',
        "".join(p.read_text() for p in tmp_path.glob("p/trial_*/trial.json")),
    )
    assert statuses == ["COMPLETED"] * 4


@pytest.mark.slow
def test_memory_stays_flat(tmp_path):
    seen = []

    class Watched(search.Tuner):
        def on_trial_end(self, trial):
            super().on_trial_end(trial)
            seen.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    here = Watched(
        toys.Curves(),
        oracle(30),
        executor=search.local_processes(2),
        directory=tmp_path,
    )
    here.search(toys.X, toys.Y, epochs=1, validation_split=0.5, verbose=0)
    assert seen[-1] - seen[2] < 50_000  # kB


@pytest.mark.slow
def test_dask_runs_every_trial(run):
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    )
    with cluster, distributed.Client(cluster) as client:
        with pytest.raises(ValueError, match=r"get_executor\(pure=False\)"):
            run(
                toys.Curves(),
                oracle(),
                executor=client.get_executor(),
                project_name="pure",
            )
        executor = client.get_executor(pure=False)
        found = run(toys.Curves(), oracle(6), executor=executor)
        alone = run(
            toys.Alone(),
            oracle(2),
            executor=executor,
            isolate=True,
            project_name="alone",
        )
    here = run(toys.Curves(), oracle(6), project_name="here")
    assert toys.summarize_trials(found.oracle) == toys.summarize_trials(
        here.oracle
    )
    statuses = [trial.status for trial in alone.oracle.trials.values()]
    assert statuses == ["COMPLETED"] * 2


def test_an_isolated_task_runs_in_its_own_process():
    packed = worker.pack((toys.build, None))
    assert isolated_worker.ping(packed)["pid"] != os.getpid()
    here = packed.replace(b"search.toys", b"search.tots")
    with pytest.raises(RuntimeError, match="No module named 'search.tots'"):
        isolated_worker.ping(here)


@pytest.mark.slow
def test_an_isolated_trial_that_dies_fails_alone(run, tmp_path):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = run(
            toys.Deadly(str(tmp_path)), oracle(), executor=pool, isolate=True
        )
    assert len(list(tmp_path.glob("*.died"))) == 1
    statuses = [trial.status for trial in found.oracle.trials.values()]
    assert sorted(statuses) == ["COMPLETED"] * 3 + ["FAILED"]


@pytest.mark.slow
def test_ray_runs_every_trial(run, tmp_path):
    """One trial kills its process and is tried again."""
    ray = pytest.importorskip("ray")
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": TESTS}},
    )
    try:
        found = run(
            toys.Deadly(str(tmp_path)), oracle(), executor=search.RayExecutor()
        )
        large = search.RayExecutor(num_cpus=3)
        with pytest.raises(ValueError, match="2 cores and 0 GPUs"):
            run(toys.Curves(), oracle(), executor=large, project_name="large")
    finally:
        ray.shutdown()
    here = run(toys.Curves(), oracle(), project_name="here")
    assert len(list(tmp_path.glob("*.died"))) == 1
    wanted = toys.summarize_trials(here.oracle)
    found_trials = {
        name: one
        for name, one in toys.summarize_trials(found.oracle).items()
        if found.oracle.trials[name].status == "COMPLETED"
    }
    assert len(found_trials) == 3
    assert found_trials == {name: wanted[name] for name in found_trials}


def test_what_cannot_run_trials_is_refused(tuner):
    class Unknown(concurrent.futures.Executor):
        """Does not report its number of workers."""

    made = tuner(toys.Curves(), oracle(), executor=Unknown())
    with pytest.raises(ValueError, match="Argument `workers` must be the"):
        made.search(toys.X, toys.Y, validation_split=0.5, verbose=0)
    with pytest.raises(ValueError, match="Received: workers=0"):
        search.local_processes(0)
