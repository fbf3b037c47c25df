"""Writes the measured tables into the pages of docs/.

A page marks the place of a table by two comment lines:

    <!-- benchmark: pruning accuracy -->
    <!-- end benchmark -->

`python -m benchmarks.render` replaces what stands between them; with
`--check` it changes nothing and fails where a page differs from the JSON, or
where no page shows a table.
"""

import argparse
import re
import sys
from pathlib import Path

from benchmarks.adaptive_depth import (
    block_tables,
    exit_tables,
    parity_tables,
    skip_tables,
)
from benchmarks.advice import tables as advice
from benchmarks.applications import tables as applications
from benchmarks.channel_pruning import tables as channel_pruning
from benchmarks.crashes import tables as crashes
from benchmarks.curriculum import tables as curriculum
from benchmarks.distillation import tables as distillation
from benchmarks.distribution import tables as distribution
from benchmarks.edge import tables as edge
from benchmarks.growing import tables as growing
from benchmarks.hpo import (
    confirm_tables,
    fidelity_tables,
    many_trials_tables,
    multi_objective_tables,
    stopping_tables,
    training_tables,
    tuner_cost_tables,
)
from benchmarks.hpo import tables as hpo
from benchmarks.keras_io_examples import tables as keras_io_examples
from benchmarks.learning_rate import tables as learning_rate
from benchmarks.litert_routes import tables as litert_routes
from benchmarks.litert_verification import tables as litert_verification
from benchmarks.micro import tables as micro
from benchmarks.nas import (
    elastic_tables,
    latency_tables,
    morphism_tables,
    one_shot_tables,
    overhead_tables,
    proxy_tables,
    space_tables,
    tabular_tables,
)
from benchmarks.open_layers import tables as open_layers
from benchmarks.progressive import (
    cart_pole_tables,
    continual_tables,
    fashion_tables,
    fine_tuning_tables,
    growth_tables,
    policy_tables,
    unfreezing_tables,
)
from benchmarks.pruning import tables as pruning
from benchmarks.quantization import tables as quantization
from benchmarks.scale import mask_tables, surgery_tables
from benchmarks.sparse_training import (
    alternating_tables,
    compact_tables,
    ticket_tables,
    weedout_tables,
)
from benchmarks.sparse_training import tables as sparse_training
from benchmarks.steps import tables as steps
from benchmarks.tfmot_bridge import tables as tfmot_bridge
from benchmarks.web import tables as web

DOCS = Path(__file__).parents[1] / "docs"
TABLES = {
    **pruning.TABLES,
    **alternating_tables.TABLES,
    **quantization.TABLES,
    **tfmot_bridge.TABLES,
    **channel_pruning.TABLES,
    **compact_tables.TABLES,
    **distillation.TABLES,
    **distribution.TABLES,
    **continual_tables.TABLES,
    **growing.TABLES,
    **curriculum.TABLES,
    **exit_tables.TABLES,
    **block_tables.TABLES,
    **parity_tables.TABLES,
    **skip_tables.TABLES,
    **hpo.TABLES,
    **many_trials_tables.TABLES,
    **tuner_cost_tables.TABLES,
    **confirm_tables.TABLES,
    **fidelity_tables.TABLES,
    **training_tables.TABLES,
    **stopping_tables.TABLES,
    **multi_objective_tables.TABLES,
    **learning_rate.TABLES,
    **applications.TABLES,
    **open_layers.TABLES,
    **litert_verification.TABLES,
    **web.TABLES,
    **keras_io_examples.TABLES,
    **litert_routes.TABLES,
    **edge.TABLES,
    **advice.TABLES,
    **micro.TABLES,
    **morphism_tables.TABLES,
    **elastic_tables.TABLES,
    **one_shot_tables.TABLES,
    **overhead_tables.TABLES,
    **space_tables.TABLES,
    **proxy_tables.TABLES,
    **latency_tables.TABLES,
    **tabular_tables.TABLES,
    **fashion_tables.TABLES,
    **fine_tuning_tables.TABLES,
    **policy_tables.TABLES,
    **cart_pole_tables.TABLES,
    **growth_tables.TABLES,
    **unfreezing_tables.TABLES,
    **ticket_tables.TABLES,
    **sparse_training.TABLES,
    **weedout_tables.TABLES,
    **steps.TABLES,
    **crashes.TABLES,
    **mask_tables.TABLES,
    **surgery_tables.TABLES,
}
BLOCK = re.compile(
    r"(<!-- benchmark: (?P<name>[^>]*?) -->\n).*?(<!-- end benchmark -->)",
    re.DOTALL,
)


def main() -> None:
    """Renders every page, or checks that all are up to date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale, shown = [], set()
    for path in sorted(DOCS.glob("*/*.md")):
        old = path.read_text()
        shown |= {match["name"] for match in BLOCK.finditer(old)}
        text = fill(old, path.name)
        if old != text:
            stale.append(path.name)
            if not check:
                path.write_text(text)
    if check and stale:
        sys.exit(f"Run `python -m benchmarks.render`. Stale: {stale}")
    hidden = sorted(set(TABLES) - shown)
    if hidden:
        sys.exit(f"No page in docs/ has a marker for the tables {hidden}.")
    print("rendered:", ", ".join(stale) or "nothing has changed")


def fill(text: str, source: str) -> str:
    """Returns the text with every marked block filled from the JSON.

    Args:
        text: A card.
        source: Its name, for the error.

    Raises:
        ValueError: If a marker names no table.
    """

    def replace(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in TABLES:
            raise ValueError(
                f"A marker in {source} must name one of {sorted(TABLES)}. "
                f"Received: benchmark={name!r}"
            )
        return f"{match[1]}\n{TABLES[name]()}\n\n{match[3]}"

    return BLOCK.sub(replace, text)


if __name__ == "__main__":
    main()
