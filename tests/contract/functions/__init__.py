"""One row a public function: what it does to a model, and what it refuses."""

from contract.functions import (
    curriculum,
    depth,
    learning_rate,
    search,
    shipping,
    sparsity,
    surgery,
)

FUNCTIONS = (
    *search.FUNCTIONS,
    *learning_rate.FUNCTIONS,
    *curriculum.FUNCTIONS,
    *sparsity.FUNCTIONS,
    *surgery.FUNCTIONS,
    *depth.FUNCTIONS,
    *shipping.FUNCTIONS,
)
BY_COMPONENT = {setting.component: setting for setting in FUNCTIONS}
