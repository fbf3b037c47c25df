"""Holds the project folder of a search while it runs."""

import os
import warnings
from pathlib import Path
from typing import Any

from keras_netopt.search.oracles.saved_search import (
    UNREADABLE,
    read_search,
)
from keras_netopt.search.project_lock import ProjectLock
from keras_netopt.search.storage import is_local


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

        Raises:
            RuntimeError: If another search has taken over the folder.
        """
        if self._lock is None or self._lock.keep():
            return True
        return self._restore()

    def _check_known(self) -> None:
        """Refuses to replace trials that this tuner does not know."""
        path = Path(self.oracle._get_oracle_fname())
        if not path.exists():
            return
        saved, own = read_search(str(path)), self.oracle
        known = saved["start_order"] == own.start_order
        if known and set(saved["end_order"]) <= set(own.end_order):
            return
        raise ValueError(
            "A tuner must know all trials of its project folder. Another "
            "search has gone on in it since this tuner was made: the folder "
            f"holds {len(saved['start_order'])} trials, {len(own.start_order)} "
            f"of them are known; nothing was changed. Received: {self.folder}. "
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
