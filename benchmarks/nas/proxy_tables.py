"""Markdown tables of the zero-cost scores, made from their JSON alone."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.pruning.tables import markdown
from benchmarks.records import load
from keras_netopt.search.zero_cost_proxies.ranking import rank_values

NAME = "nas_proxies"
CONTROLS = ("params", "conv_count", "macs")
ENSEMBLES = (
    ("meco", "flow_depth", "params"),
    ("meco", "flow_depth"),
    ("meco", "synflow"),
    ("synflow", "naswot"),
    ("synflow", "conv_count"),
    ("meco", "channel_entropy", "flow_depth", "params"),
)
SHOWN = ENSEMBLES[0]
BUDGETS = (10, 30, 60)
RESAMPLES, SEEDS, POOL = 1000, 200, 200
GRADIENTS = ("jacob_cov", "grad_norm", "snip")

Scores = dict[str, np.ndarray]


def read_part(
    part: str, needed: Sequence[str] = CONTROLS
) -> tuple[Scores, dict[str, np.ndarray], Scores]:
    """Returns scores, accuracies and milliseconds of networks of a part.

    These are the networks that have the `needed` scores, with the scores that
    all of them have.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in load(NAME)["rows"]:
        if row["part"] == part:
            one = found.setdefault(row["network"], {"scores": {}, "ms": {}})
            one["scores"].update(row["scores"])
            one["ms"].update(row["ms"])
            one["accuracy"] = row["accuracy"]
    rows = [one for one in found.values() if set(needed) <= set(one["scores"])]
    return tuple(  # type: ignore[return-value]
        _columns([one[kind] for one in rows])
        for kind in ("scores", "accuracy", "ms")
    )


def _columns(rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Returns the values that all rows have, by name; `None` is -inf."""
    shared = [name for name in rows[0] if all(name in one for one in rows)]
    return {
        name: np.array(
            [-np.inf if one[name] is None else one[name] for one in rows]
        )
        for name in shared
    }


def combine(scores: Scores, names: Sequence[str]) -> np.ndarray:
    """Returns the mean rank of several proxies."""
    return np.mean([rank_values(scores[name]) for name in names], axis=0)


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the rank correlation of two arrays."""
    return float(np.corrcoef(rank_values(first), rank_values(second))[0, 1])


def best_quarter(score: np.ndarray, accuracy: np.ndarray) -> float:
    """Returns the rank correlation among the best quarter by accuracy."""
    best = accuracy >= np.quantile(accuracy, 0.75)
    return spearman(score[best], accuracy[best])


def gain(
    score: np.ndarray, controls: Sequence[np.ndarray], accuracy: np.ndarray
) -> tuple[float, float, float]:
    """Returns the gain over the best control with its 95 % interval.

    The networks are resampled; in each sample the best control is chosen
    anew.
    """
    rng, found = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        rows = rng.integers(len(accuracy), size=len(accuracy))
        known = accuracy[rows]
        best = max(spearman(one[rows], known) for one in controls)
        found.append(spearman(score[rows], known) - best)
    exact = spearman(score, accuracy) - max(
        spearman(one, accuracy) for one in controls
    )
    low, high = np.quantile(found, (0.025, 0.975))
    return exact, float(low), float(high)


def correlation_table() -> str:
    """Returns the rank correlations of the proxies on the reported part."""
    scores, accuracy, ms = read_part("reported")
    arms = {_title(names): combine(scores, names) for names in ENSEMBLES}
    arms |= {f"`{name}`": one for name, one in scores.items()}
    return _correlations(arms, scores, accuracy, ms)


def gradient_table() -> str:
    """Returns those of the gradient proxies, on the networks that have them."""
    scores, accuracy, ms = read_part("reported", GRADIENTS)
    arms = {_title(SHOWN): combine(scores, SHOWN)}
    names = (*GRADIENTS, "synflow", "naswot", *CONTROLS)
    arms |= {f"`{name}`": scores[name] for name in names}
    return _correlations(arms, scores, accuracy, ms)


def _title(names: Sequence[str]) -> str:
    return " + ".join(f"`{name}`" for name in names)


def _correlations(
    arms: dict[str, np.ndarray],
    scores: Scores,
    accuracy: dict[str, np.ndarray],
    ms: Scores,
) -> str:
    table = accuracy["cifar10"]
    controls = [scores[name] for name in CONTROLS]
    body = []
    for name, score in arms.items():
        is_control = name.strip("`") in CONTROLS
        milliseconds = ms.get(name.strip("`"))
        row = [
            name,
            *(f"{spearman(score, one):.3f}" for one in accuracy.values()),
            f"{best_quarter(score, table):.2f}",
        ]
        if is_control:
            row += ["control", ""]
        else:
            exact, low, high = gain(score, controls, table)
            row += [f"{exact:+.3f}", f"[{low:+.3f}, {high:+.3f}]"]
        body.append(
            [*row, "" if milliseconds is None else _cost(milliseconds, ms)]
        )
    head = ["proxy", *accuracy, "best quarter", "gain", "95 %"]
    note = (
        f"Spearman with the tables on {len(table)} networks that were not used "
        "to choose the ensemble. Best quarter: among the best by CIFAR-10 "
        "accuracy. Gain: over the best of the controls, CIFAR-10, bootstrap "
        "interval. Time: median, as a multiple of building the network; "
        "proxies of one measurement share it."
    )
    return f"{markdown([*head, 'time / build'], body)}\n\n{note}"


def _cost(one: np.ndarray, ms: Scores) -> str:
    return f"{np.median(one) / np.median(ms['build']):.2g}"


def regret_table() -> str:
    """Returns the regret of training the best networks of a pool."""
    scores, accuracy, _ = read_part("reported")
    table = accuracy["cifar10"]
    arms = {
        "random": None,
        "`params`": scores["params"],
        "`synflow`": scores["synflow"],
        "`naswot`": scores["naswot"],
        "`meco`": scores["meco"],
        _title(SHOWN): SHOWN,
    }
    body = []
    for name, score in arms.items():
        cells = []
        for budget in BUDGETS:
            found = np.array(
                [_regret(scores, table, score, budget, s) for s in range(SEEDS)]
            )
            low, middle, high = np.quantile(found, (0.25, 0.5, 0.75))
            cells.append(f"{middle:.3f} [{low:.3f}, {high:.3f}]")
        body.append([name, *cells])
    head = ["ranked by", *(f"regret @{budget}" for budget in BUDGETS)]
    note = (
        f"Medians and quartiles over {SEEDS} pools of {POOL} networks drawn "
        f"from {len(table)}. Regret: 0 is the best network of the pool, 1 its "
        "median one, after so many evaluations (CIFAR-10 table)."
    )
    return f"{markdown(head, body)}\n\n{note}"


def _regret(
    scores: Scores, table: np.ndarray, score: Any, budget: int, seed: int
) -> float:
    rng = np.random.default_rng(seed)
    pool = rng.choice(len(table), POOL, replace=False)
    known = table[pool]
    if score is None:
        order = np.arange(POOL)
    elif isinstance(score, tuple):
        own = {name: scores[name][pool] for name in score}
        order = np.argsort(-combine(own, score), kind="stable")
    else:
        order = np.argsort(-score[pool], kind="stable")
    found = known[order[:budget]].max()
    return float((known.max() - found) / (known.max() - np.median(known)))


TABLES: dict[str, Callable[[], str]] = {
    "nas proxies": correlation_table,
    "nas proxies gradients": gradient_table,
    "nas proxies regret": regret_table,
}
