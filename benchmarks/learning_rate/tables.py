"""Tables of early stopping and of the learning rate finder."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load
from keras_netopt.prechelt_rules import find_stop_epoch

Rows = list[dict[str, Any]]
STOPPING, FINDER = "early_stopping", "learning_rate_finder"
NOT_YET = "Not measured yet."
# Rule, threshold, strip.
RULES: tuple[tuple[str, float, int], ...] = (
    *(("GL", threshold, 5) for threshold in (1.0, 2.0, 5.0, 20.0)),
    *(("PQ", threshold, 5) for threshold in (0.5, 0.75, 2.0)),
    *(("UP", threshold, 5) for threshold in (2, 3, 4)),
    *(("UP", threshold, 2) for threshold in (2, 3)),
    *(("patience", epochs, 1) for epochs in (3, 5, 10)),
)
NETWORKS = {
    "dense": "dense",
    "wrong labels": "dense, 20 % wrong labels",
    "dropout": "dense, dropout 0.5",
    "cnn": "CNN",
}
RATES = {
    "suggestion": "`suggestion`",
    "suggestion 0.98": "`suggestion`, `smoothing=0.98`",
    "steepest": "`steepest`",
    "default": "Keras' default rate",
    "one cycle": "`OneCycle(suggestion)`",
    "one cycle lowest": "`OneCycle(10 * suggestion)`",
    "one cycle default": "`OneCycle` to Keras' default rate",
}
OPTIMIZERS = {"sgd": "SGD, momentum 0.9", "adam": "Adam"}


def stopping_table() -> str:
    """Returns the epochs spent and the test loss by rule and network."""
    rows = _rows(STOPPING)
    if not rows:
        return NOT_YET
    groups = {
        title: [row for row in rows if row["arm"] == arm]
        for arm, title in NETWORKS.items()
    }
    groups = {title: own for title, own in groups.items() if own}
    body = []
    for rule in RULES:
        shares, losses = _replays(rows, rule)
        cells = [
            _title(*rule),
            f"{statistics.median(shares):.0%}",
            f"{shares.count(1.0)} of {len(rows)}",
            _spread(losses, "+.1f"),
            f"{sum(loss > 1.0 for loss in losses)} of {len(rows)}",
        ]
        for own in groups.values():
            share, loss = map(statistics.median, _replays(own, rule))
            cells.append(f"{share:.0%}, {loss + 0.0:+.1f}")
        body.append(cells)
    head = ["rule", "epochs", "not stopped", "test loss, %", "above +1 %"]
    table = markdown([*head, *groups], body)
    return f"{table}\n\n{_stopping_note(rows, groups)}"


def _replays(rows: Rows, rule: tuple[str, float, int]) -> list[list[float]]:
    pairs = [replay(row, *rule) for row in rows]
    return [list(part) for part in zip(*pairs, strict=True)]


def _stopping_note(rows: Rows, groups: dict[str, Rows]) -> str:
    ends = "; ".join(
        f"{title} {_median_accuracy(own, best=True):.3f} and "
        f"{_median_accuracy(own, best=False):.3f}"
        for title, own in groups.items()
    )
    return (
        f"Medians over {len(rows)} trainings of "
        f"{load(STOPPING)['settings']['epochs']} epochs, range in brackets. "
        "Epochs: share of all epochs. Not stopped: trainings that ran to the "
        "last epoch. Test loss: at the epoch with the lowest held-out loss "
        "before the stop, relative to that with the lowest held-out loss of "
        "the whole training. Networks: epochs and test loss. Test accuracy at "
        f"the epoch with the lowest held-out loss and at the last one: {ends}."
    )


def _median_accuracy(rows: Rows, *, best: bool) -> float:
    return statistics.median(
        row["test_accuracy"][_lowest(row["val_loss"]) if best else -1]
        for row in rows
    )


def replay(
    row: dict[str, Any], rule: str, threshold: float, strip: int
) -> tuple[float, float]:
    """Returns the share of the epochs spent and the test loss in percent.

    Args:
        row: Curves of a training.
        rule: A rule of Prechelt, or "patience" as in Keras' `EarlyStopping`.
        threshold: The threshold of the rule.
        strip: Epochs per strip.
    """
    losses, epochs = row["val_loss"], len(row["val_loss"])
    if rule == "patience":
        stop = _patience(losses, threshold)
    else:
        stop = find_stop_epoch(
            rule, losses, row["loss"], threshold=threshold, strip=strip
        )
    spent = epochs if stop is None else stop + 1
    test = row["test_loss"]
    kept, best = _lowest(losses[:spent]), _lowest(losses)
    return spent / epochs, 100.0 * (test[kept] / test[best] - 1.0)


def finder_table() -> str:
    """Returns the accuracy lost against the best rate of the grid."""
    rows = _rows(FINDER)
    if not rows:
        return NOT_YET
    settings = load(FINDER)["settings"]
    grid, epochs = settings["grid"], settings["epochs"]
    body = []
    for name, title in RATES.items():
        cells = [title]
        for optimizer in OPTIMIZERS:
            lost = [
                points_lost(row, name)
                for row in rows
                if row["arm"].endswith(optimizer)
            ]
            cells.append(_spread(lost, ".1f"))
            within = sum(points <= 1.0 for points in lost)
            cells.append(f"{within} of {len(lost)}")
        swept = "default" not in name
        spent = (epochs + swept) / (epochs * len(grid))
        body.append([*cells, f"{spent:.0%}"])
    ahead = sum(
        row["accuracy"]["one cycle"] >= row["accuracy"]["one cycle default"]
        for row in rows
    )
    head = ["learning rate"]
    for title in OPTIMIZERS.values():
        head += [f"{title}: points lost", "at most 1 point"]
    note = (
        f"Points of held-out accuracy lost against the best of {len(grid)} "
        f"constant rates from {grid[0]:g} to {grid[-1]:g}, median and range; "
        "below 0 is better than the grid. The best rate of the grid is "
        "selected on the same images. Compute: a sweep of one epoch and "
        f"{epochs} epochs, against {len(grid)} times {epochs}. "
        f"{_best_rates(rows)} One cycle up to the suggestion was at least as "
        "good as one up to Keras' default rate in "
        f"{ahead} of {len(rows)} trainings."
    )
    return f"{markdown([*head, 'compute of the grid'], body)}\n\n{note}"


def points_lost(row: dict[str, Any], name: str) -> float:
    """Returns the difference to the best accuracy of the grid, in points."""
    found = row["accuracy"]
    best = max(v for key, v in found.items() if key.startswith("grid "))
    return 100.0 * (best - found[name])


def _best_rates(rows: Rows) -> str:
    texts = []
    for optimizer, title in OPTIMIZERS.items():
        own = [row for row in rows if row["arm"].endswith(optimizer)]
        best = [
            float(max(_grid(row), key=_grid(row).__getitem__)) for row in own
        ]
        found = [row["suggestion"] for row in own]
        texts.append(
            f"{title}: best rate {_range(best)}, suggested {_range(found)}"
        )
    return f"{'; '.join(texts)}."


def _grid(row: dict[str, Any]) -> dict[str, float]:
    return {
        key.removeprefix("grid "): value
        for key, value in row["accuracy"].items()
        if key.startswith("grid ")
    }


def _patience(losses: Sequence[float], epochs: float) -> int | None:
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best]:
            best = epoch
        elif epoch - best >= epochs:
            return epoch
    return None


def _lowest(losses: Sequence[float]) -> int:
    return min(range(len(losses)), key=losses.__getitem__)


def _title(rule: str, threshold: float, strip: int) -> str:
    if rule == "patience":
        return f"`EarlyStopping(patience={threshold})`"
    return f"{rule} {threshold}" + (f", strip {strip}" if strip != 5 else "")


def _spread(values: Sequence[float], form: str) -> str:
    low, middle, high = (
        f"{value + 0.0:{form}}"
        for value in (min(values), statistics.median(values), max(values))
    )
    return f"{middle} ({low} to {high})"


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.2g} to {max(values):.2g}"


def _rows(name: str) -> Rows:
    if not (RESULTS / f"{name}.json").exists():
        return []
    return load(name)["rows"]


TABLES: dict[str, Callable[[], str]] = {
    "early stopping": stopping_table,
    "learning rate finder": finder_table,
}
