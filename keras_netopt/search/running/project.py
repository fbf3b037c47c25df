"""Checks that a project folder belongs to the same search."""

import multiprocessing
import os
import warnings
from pathlib import Path
from typing import Any

from keras_netopt.files import is_local
from keras_netopt.search.oracles.saved_search import REMEDY
from keras_netopt.search.storage import read_json


def check_main_guard() -> None:
    """Refuses to search while a worker process imports the script."""
    process = multiprocessing.current_process()
    if getattr(process, "_inheriting", False):
        raise RuntimeError(
            "A worker process imports the script that started it, and would "
            "search again. Put the search under `if __name__ == '__main__':`, "
            "or omit `executor`."
        )


def project_identity(tuner: Any) -> dict[str, Any]:
    """Returns the settings that must not change when a search resumes."""
    oracle = tuner.proxy.oracle
    return {
        "oracle": type(oracle).__name__,
        "objective": str(oracle.objective),
        "folds": None if tuner.folds is None else repr(tuner.folds),
        "score_epoch": tuner.score_epoch,
    }


def check_same_search(tuner: Any, saved: dict[str, Any] | None) -> None:
    """Refuses the project folder of another search.

    The oracle, objective, scored epoch, folds and the ranges of the search
    space must be the same. `saved` is `None` if KerasTuner wrote the project.
    """
    remedy = (
        "Pass another `project_name`, or `overwrite=True` to start over; "
        f"nothing in {tuner.project_dir} was changed."
    )
    own = project_identity(tuner)
    for name, value in (saved or {}).items():
        if own.get(name) != value:
            raise ValueError(
                f"Argument `project_name` must name a search with the same "
                f"{name}, {value}. Received: {own.get(name)}. {remedy}"
            )
    if tuner.hypermodel is None:
        return
    known = {
        (one.name, str(one.conditions)): one.get_config()
        for one in tuner.proxy.oracle.get_space().space
    }
    # From `hyperparameters=`, whose entries replace those of `build`.
    hp = tuner.given_space.copy()
    tuner.hypermodel.build(hp)
    for one in hp.space:
        before = known.get((one.name, str(one.conditions)))
        if before is not None and before != one.get_config():
            raise ValueError(
                f"Hyperparameter {one.name!r} must be the same as in the "
                f"project folder, {before}. Received: {one.get_config()}. "
                f"{remedy}"
            )


def read_tuner_state(tuner: Any) -> dict[str, Any] | None:
    """Reads the file of a tuner; `None`, with a warning, if it is unreadable.

    The search goes on without it: its trials and the state of its oracle are
    in other files.
    """
    path = tuner._get_tuner_fname()
    try:
        state: dict[str, Any] = dict(read_json(path))
    except (OSError, TypeError, ValueError) as error:
        _warn_unchecked(path, f"cannot be read ({error!r})")
        return None
    return state


def find_search(tuner: Any) -> bool:
    """Returns whether the folder of a tuner without a file holds a search.

    KerasTuner would start at the first trial again, and replace all trials.

    Raises:
        ValueError: If the folder holds trials, but no state of an oracle.
    """
    folder = str(tuner.project_dir)
    if not is_local(folder):
        return False
    if not os.path.exists(tuner.proxy.oracle._get_oracle_fname()):
        if trials := sorted(Path(folder).glob("trial_*/trial.json")):
            raise ValueError(
                f"The project folder holds {len(trials)} trials, but neither "
                f"oracle.json nor {Path(tuner._get_tuner_fname()).name}: the "
                "search cannot go on, and would replace them. "
                f"`search.leaderboard({folder!r})` lists them. "
                f"{REMEDY}Received: {folder}"
            )
        return False
    # KerasTuner's chief and a tuner without workers have different names.
    if not any(map(_is_of_tuner, Path(folder).glob("*.json"))):
        _warn_unchecked(tuner._get_tuner_fname(), "is missing")
    return True


def _is_of_tuner(path: Path) -> bool:
    try:
        return "netopt" in read_json(str(path))
    except (OSError, TypeError, ValueError):
        return False


def _warn_unchecked(path: str, what: str) -> None:
    warnings.warn(
        f"The file of the tuner {what}. The search goes on with the trials "
        "in its folder; whether `folds` and `score_epoch` are those with "
        f"which it began was not checked. Received: {path}",
        stacklevel=5,
    )
