"""Reads a project folder without KerasTuner."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from keras_netopt.search.reports.hyperparameter_record import read_space
from keras_netopt.search.reports.project import Project, TrialRecord


def read_project(
    directory: str | os.PathLike[str], *, objective: str | None = None
) -> Project:
    """Reads a project folder of KerasTuner or this package.

    Needs neither KerasTuner nor the code of the search. Missing and truncated
    files are skipped and listed.

    Example:

    >>> import json, pathlib
    >>> import keras_netopt as netopt
    >>> for i, loss in enumerate([0.5, 0.2]):
    ...     folder = pathlib.Path(f"tuning/trial_{i}")
    ...     folder.mkdir(parents=True)
    ...     seen = {"direction": "min",
    ...             "observations": [{"value": [loss], "step": 0}]}
    ...     _ = (folder / "trial.json").write_text(json.dumps({
    ...         "trial_id": f"{i}", "status": "COMPLETED", "score": loss,
    ...         "best_step": 0, "message": None,
    ...         "hyperparameters": {"space": [], "values": {"units": 8 << i}},
    ...         "metrics": {"metrics": {"val_loss": seen}}}))
    >>> project = netopt.search.read_project("tuning")
    >>> project.objective, project.ranked()[0].parameters
    ('val_loss', {'units': 16})
    >>> project.unreadable
    (('oracle.json', 'missing'),)

    Args:
        directory: The project folder: `directory/project_name` of the tuner.
        objective: The metric to use as the score. Defaults to `None`: the
            metric that equals the score of all trials.

    Returns:
        A `Project` with `trials`, `space`, `ranked()`,
        `complete_trials()` and `best_by(parameter)`.

    Raises:
        TypeError: If `directory` is not a path.
        ValueError: If `directory` is not a project, or no trial has
            `objective`.
    """
    path = _project_folder(directory)
    unreadable: list[tuple[str, str]] = []
    oracle = _read_json(path / "oracle.json", unreadable) or {}
    records, spaces = [], [_space(oracle)]
    for folder in sorted(path.glob("trial_*")):
        state = _read_json(folder / "trial.json", unreadable)
        if state is None:
            continue
        try:
            records.append(_record(state))
            spaces.append(_space(state))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = (
                f"not a trial of KerasTuner ({type(error).__name__}: {error})"
            )
            unreadable.append((f"{folder.name}/trial.json", reason))
    trials = tuple(_in_order(records, oracle))
    name, direction = _find_objective(trials, oracle, objective)
    if objective is not None:
        trials = tuple(replace(t, score=t.value(objective)) for t in trials)
    return Project(
        path,
        trials,
        read_space(spaces),
        name,
        direction,
        tuple(unreadable),
        _end_reason(oracle),
        _further_objectives(oracle) if objective is None else (),
    )


def _end_reason(oracle: Mapping[str, Any]) -> str:
    """Returns what a tuner of this package wrote when it ended early."""
    held = oracle.get("netopt_search")
    return str(held.get("end_reason", "")) if isinstance(held, Mapping) else ""


def _further_objectives(oracle: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the objectives of `search.NSGA2` behind the first one."""
    held = oracle.get("search")
    saved = held.get("objectives") if isinstance(held, Mapping) else None
    if not isinstance(saved, list):
        return ()
    return tuple(str(name) for name, _ in saved[1:])


def _project_folder(directory: Any) -> Path:
    if not isinstance(directory, str | os.PathLike):
        raise TypeError(
            "Argument `directory` must be a path. "
            f"Received: directory={directory!r}"
        )
    path = Path(directory)
    what = "does not exist"
    if path.is_dir():
        if (path / "oracle.json").exists() or any(path.glob("trial_*")):
            return path
        inner = sorted(p.parent.name for p in path.glob("*/oracle.json"))
        what = "holds neither oracle.json nor trial_* folders"
        if inner:
            what += f", but the projects {', '.join(inner[:9])}"
        elif not any(path.iterdir()):
            what = "is empty"
    elif path.exists():
        what = "is a file"
    raise ValueError(
        "Argument `directory` must be a project folder of KerasTuner, "
        f"`directory/project_name` of the tuner; it {what}. "
        f"Received: directory={os.fspath(directory)!r}"
    )


def _read_json(path: Path, unreadable: list[tuple[str, str]]) -> Any:
    """Reads a JSON file, with NaN and Infinity, that may be truncated."""
    name = path.name
    if name == "trial.json":
        name = f"{path.parent.name}/{name}"
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        unreadable.append((name, "missing"))
        return None
    except (ValueError, OSError) as error:
        unreadable.append((name, f"unreadable ({error})"))
        return None
    if not isinstance(state, dict):
        unreadable.append((name, "not a JSON object"))
        return None
    return state


def _space(state: Mapping[str, Any]) -> Any:
    held = state.get("hyperparameters")
    return held.get("space") if isinstance(held, Mapping) else None


def _record(state: Mapping[str, Any]) -> TrialRecord:
    score, best = state.get("score"), state.get("best_step")
    metrics = (state.get("metrics") or {}).get("metrics") or {}
    return TrialRecord(
        trial_id=str(state["trial_id"]),
        status=str(state["status"]),
        score=None if score is None else float(score),
        best_step=None if best is None else int(best),
        values=dict(state["hyperparameters"]["values"]),
        metrics={name: _metric(held) for name, held in metrics.items()},
        message=str(state.get("message") or ""),
    )


def _metric(held: Mapping[str, Any]) -> tuple[str, dict[int, float]]:
    history = {}
    for seen in held.get("observations", ()):
        values = seen["value"]
        values = values if isinstance(values, list) else [values]
        history[int(seen["step"])] = sum(map(float, values)) / len(values)
    return str(held.get("direction") or "min"), history


def _in_order(
    records: list[TrialRecord], oracle: Mapping[str, Any]
) -> list[TrialRecord]:
    started = oracle.get("start_order")
    started = started if isinstance(started, list) else []
    place = {str(name): i for i, name in enumerate(started)}

    def key(record: TrialRecord) -> tuple[int, int, str]:
        name = record.trial_id
        number = int(name) if name.isdigit() else len(records)
        return place.get(name, len(place)), number, name

    return sorted(records, key=key)


def _saved_objective(oracle: Mapping[str, Any]) -> tuple[str, str] | None:
    """Returns the objective that this package has saved, if it has."""
    for part in ("search", "netopt_search"):
        held = oracle.get(part)
        saved = held.get("objective") if isinstance(held, Mapping) else None
        if isinstance(saved, list) and len(saved) == 2:
            return str(saved[0]), str(saved[1])
    return None


def _find_objective(
    trials: tuple[TrialRecord, ...],
    oracle: Mapping[str, Any],
    wanted: str | None,
) -> tuple[str, str]:
    """Reads the objective, or infers it from the scores of all trials.

    KerasTuner does not save its name. Validation metrics are preferred, and
    metrics such as "epoch/val_loss" come last.
    """
    saved = _saved_objective(oracle)
    if wanted is None and saved is not None:
        return saved
    names = list(dict.fromkeys(m for t in trials for m in t.metrics))
    if wanted is not None:
        if wanted not in names:
            raise ValueError(
                "Argument `objective` must be a metric of the trials: "
                f"{', '.join(names) or 'there are none'}. "
                f"Received: objective={wanted!r}"
            )
        fits = [wanted]
    else:
        scored = [t for t in trials if t.is_scored]
        fits = [n for n in names if scored and all(_fits(t, n) for t in scored)]
        fits.sort(key=lambda name: ("/" in name, name[:4] != "val_"))
    if not fits:
        return "score", "min"
    direction = next(
        t.metrics[fits[0]][0] for t in trials if fits[0] in t.metrics
    )
    return fits[0], direction


def _fits(trial: TrialRecord, metric: str) -> bool:
    value = trial.value(metric)
    return value is not None and math.isclose(
        value, trial.score or 0.0, rel_tol=1e-9, abs_tol=1e-12
    )
