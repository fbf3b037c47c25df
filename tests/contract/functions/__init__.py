"""One row per public function: its effect and its invalid values."""

from contract.functions import (
    architecture,
    architecture_spaces,
    compression,
    curriculum,
    depth,
    fine_tuning,
    learning_rate,
    morphism,
    progressive,
    progressive_columns,
    quantization,
    recipe,
    reinforcement,
    search,
    shipping,
    sparsity,
    surgery,
    transfer,
)

FUNCTIONS = (
    *compression.FUNCTIONS,
    *search.FUNCTIONS,
    *architecture.FUNCTIONS,
    *architecture_spaces.FUNCTIONS,
    *morphism.FUNCTIONS,
    *learning_rate.FUNCTIONS,
    *curriculum.FUNCTIONS,
    *sparsity.FUNCTIONS,
    *quantization.FUNCTIONS,
    *surgery.FUNCTIONS,
    *depth.FUNCTIONS,
    *progressive.FUNCTIONS,
    *transfer.FUNCTIONS,
    *fine_tuning.FUNCTIONS,
    *progressive_columns.FUNCTIONS,
    *shipping.FUNCTIONS,
    *recipe.FUNCTIONS,
    *reinforcement.FUNCTIONS,
)
BY_COMPONENT = {setting.component: setting for setting in FUNCTIONS}
