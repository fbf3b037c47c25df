"""The tables of sequence length warm-up, made from its JSON file."""

import statistics
from typing import Any

from benchmarks.curriculum import warmup
from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

Row = dict[str, Any]
GOAL = 0.8
NOT_YET = "Not measured yet."


def table() -> str:
    """Returns losses, and the tokens to the loss of full sequences."""
    rows = _rows()
    if not rows:
        return NOT_YET
    body = []
    for arm, title in warmup.ARMS.items():
        own = {row["seed"]: row for row in rows if row["arm"] == arm}
        if own:
            losses = [row["losses"][-1] for row in own.values()]
            body.append(
                [
                    title,
                    f"{statistics.median(losses):.3f}",
                    ", ".join(f"{loss:.3f}" for loss in losses),
                    ", ".join(map(_text, ratios(arm))) or "-",
                ]
            )
    head = ["arm", "final loss, median", "by seed", "share of tokens"]
    note = (
        "Validation loss on full sequences after "
        f"{warmup.EPOCHS * warmup.STEPS_PER_EPOCH:,} steps. Share of "
        "tokens: tokens until the lowest validation loss of the arm with full "
        "sequences, divided by the tokens of that arm, by seed."
    )
    return f"{markdown(head, body)}\n\n{note}"


def goals() -> list[list[str]]:
    """Returns the rows of the table of goals."""
    found = {arm: ratios(arm) for arm in warmup.ARMS if arm != "whole"}
    body = []
    for arm, shares in found.items():
        if shares:
            reached = [share for share in shares if share is not None]
            whole = len(reached) == len(shares)
            middle = statistics.median(reached) if whole else None
            met = middle is not None and middle <= GOAL
            body.append(
                [
                    f"warm-up, {warmup.ARMS[arm]}: at most {GOAL} of "
                    "the tokens to an equal loss",
                    _text(middle),
                    "yes" if met else "**no**",
                ]
            )
    return body


def ratios(arm: str) -> list[float | None]:
    """Returns the share of tokens to the loss of full sequences, by seed."""
    rows = _rows()
    whole = {row["seed"]: row for row in rows if row["arm"] == "whole"}
    found = []
    for row in rows:
        if row["arm"] == arm and row["seed"] in whole and arm != "whole":
            base = whole[row["seed"]]
            needed = tokens_to(row, min(base["losses"]))
            own = tokens_to(base, min(base["losses"]))
            found.append(needed and own and needed / own)
    return found


def tokens_to(row: Row, target: float) -> float | None:
    """Returns the tokens to a loss, interpolated between measurements."""
    before: tuple[float, float] | None = None
    for loss, tokens in zip(row["losses"], row["tokens"], strict=True):
        if loss <= target:
            if before is None or before[0] == loss:
                return float(tokens)
            share = (before[0] - target) / (before[0] - loss)
            return before[1] + share * (tokens - before[1])
        before = (loss, tokens)
    return None


def _text(share: float | None) -> str:
    return "not reached" if share is None else f"{share:.2f}"


def _rows() -> list[Row]:
    there = (RESULTS / f"{warmup.NAME}.json").exists()
    return load(warmup.NAME)["rows"] if there else []
