"""Checks that a project folder belongs to the same search."""

import multiprocessing
from typing import Any


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
