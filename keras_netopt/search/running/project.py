"""Which search a project folder belongs to."""

import multiprocessing
from typing import Any


def check_main_guard() -> None:
    """Refuses to search while a worker process is still being born.

    Raises:
        RuntimeError: If the script that starts processes has no guard.
    """
    process = multiprocessing.current_process()
    if getattr(process, "_inheriting", False):
        raise RuntimeError(
            "A worker process runs the whole script again, for the script "
            "lacks the line `if __name__ == '__main__':` in front of what it "
            "does. Put the search behind that line, or leave `executor=` out."
        )


def facts(tuner: Any) -> dict[str, Any]:
    """Returns what a project keeps of its search.

    Args:
        tuner: A `search.Tuner`.
    """
    oracle = tuner.watch.oracle
    return {
        "oracle": type(oracle).__name__,
        "objective": str(oracle.objective),
        "folds": None if tuner.folds is None else repr(tuner.folds),
        "score": tuner.score,
    }


def check_project(tuner: Any, saved: dict[str, Any] | None) -> None:
    """Refuses the folder of another search.

    Args:
        tuner: A `search.Tuner`.
        saved: What the folder holds, or `None` where another library wrote
            it.

    Raises:
        ValueError: If the search there has another oracle, objective, score
            or folds, or its hyperparameters have other ranges.
    """
    remedy = (
        "Pass another `project_name`, or `overwrite=True` to start over; "
        f"nothing in {tuner.project_dir} was changed."
    )
    own = facts(tuner)
    for name, value in (saved or {}).items():
        if own.get(name) != value:
            raise ValueError(
                f"Argument `project_name` must name a search of the same "
                f"{name}, {value}. Received: {own.get(name)}. {remedy}"
            )
    if tuner.hypermodel is None:
        return
    known = {
        (one.name, str(one.conditions)): one.get_config()
        for one in tuner.watch.oracle.get_space().space
    }
    import keras_tuner

    hp = keras_tuner.HyperParameters()
    tuner.hypermodel.build(hp)
    for one in hp.space:
        before = known.get((one.name, str(one.conditions)))
        if before is not None and before != one.get_config():
            raise ValueError(
                f"Hyperparameter {one.name!r} must be as in the search that "
                f"the folder holds, {before}. Received: {one.get_config()}. "
                f"{remedy}"
            )
