"""Holds the project folder of a search while it runs."""

import os
import warnings
from pathlib import Path
from typing import Any

from keras_netopt.files import is_local
from keras_netopt.search.oracles.saved_search import (
    UNREADABLE,
    read_search,
)
from keras_netopt.search.project_lock import ProjectLock
from keras_netopt.search.running.oracle_proxy import STATE, WRITER


class ProjectGuard:
    """Keeps other searches out of a tuner's folder, and its files in place.

    A folder that is deleted during the search is written again from memory:
    all trials, without the weights of those that have ended. Folders that
    are not local, as "gs://bucket", have no lock.

    Args:
        tuner: The tuner, in the process that owns the oracle.
    """

    def __init__(self, tuner: Any) -> None:
        self.tuner = tuner
        self.oracle = tuner.proxy.oracle
        self.folder = tuner.project_dir
        self.is_lost = False  # Whether another search has it now.
        self._lock = ProjectLock(self.folder) if is_local(self.folder) else None

    def __enter__(self) -> "ProjectGuard":
        """Takes the folder.

        Raises:
            RuntimeError: If another search runs in it.
            ValueError: If another search has gone on in it since the tuner
                was made.
        """
        if self._lock is not None:
            self._lock.__enter__()
            try:
                self._check_known()
                self._restore()
            except BaseException:
                self._lock.__exit__()
                raise
        self.tuner.proxy.guard = self
        return self

    def __exit__(self, *_: object) -> None:
        """Frees the folder."""
        self.tuner.proxy.guard = None
        if self._lock is not None:
            self._lock.__exit__()

    def keep(self) -> bool:
        """Returns whether the files are there; writes them again if not.

        A lost lock may have been another search's in the meantime.

        Raises:
            RuntimeError: If another search has taken over the folder.
        """
        if self._lock is None:
            return True
        self.is_lost = True  # Unless no error is raised.
        is_there = self._lock.keep()
        try:
            if not is_there:
                self._check_known()
        except ValueError as error:
            self._lock.__exit__()  # The next call asks again.
            raise RuntimeError(
                "This search must end: its process was silent for long, or "
                f"its folder was deleted. {error}"
            ) from error
        self.is_lost = False
        return is_there or self._restore()

    def _check_known(self) -> None:
        """Refuses to replace trials that this tuner does not know.

        Trials of two searches have equal ids, so that the state names its
        writer. KerasTuner does not: there the ids must do.
        """
        path = Path(self.oracle._get_oracle_fname())
        if not path.exists():
            return
        saved, own = read_search(str(path)), self.oracle
        proxy = self.tuner.proxy
        writer = saved.get(STATE, {}).get(WRITER)
        known = writer == proxy.writer or writer in proxy.known_writers
        if writer is None:
            known = (
                known
                and saved["start_order"] == own.start_order
                and set(saved["end_order"]) <= set(own.end_order)
            )
        if known:
            return
        raise ValueError(
            "A tuner must know all trials of its project folder. Another "
            "search has gone on in it since this tuner was made: the folder "
            f"holds {len(saved['start_order'])} trials, this tuner "
            f"{len(own.start_order)}; nothing was changed. "
            f"Received: {self.folder}. "
            "Remedy: make the tuner again, and search."
        )

    def _restore(self) -> bool:
        """Writes missing files; returns whether none was missing."""
        oracle, folder = self.oracle, Path(self.folder)
        lost = [
            trial
            for trial in oracle.trials.values()
            if trial.message != UNREADABLE
            and not (folder / f"trial_{trial.trial_id}/trial.json").exists()
        ]
        had_begun = bool(oracle.trials) and not os.path.exists(
            oracle._get_oracle_fname()
        )
        if not lost and not had_begun:
            return True
        for trial in lost:
            oracle._save_trial(trial)
        self.tuner.save()
        warnings.warn(
            f"Files of the search have vanished from {folder}. It goes on: "
            f"the results of {len(lost)} trials were written again from "
            "memory, but the weights of those that had ended are lost. Train "
            "a model from their hyperparameters, as `tuner.refit` does.",
            stacklevel=2,
        )
        return False
