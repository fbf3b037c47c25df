"""Whether larger or smaller values of a metric are better, by its name."""

import re

LOWER = (
    "crossentropy divergence entropy error hinge loss mae mape mse msle "
    "perplexity poisson rmse false_positives false_negatives"
).split()
HIGHER = (
    "acc accuracy auc correlation iou io_u precision recall score sensitivity "
    "similarity specificity true_positives true_negatives"
).split()


def metric_sign(name: str) -> int:
    """Returns 1 if larger values are better, -1 if smaller, 0 if unknown.

    The last word decides, without the number that Keras appends to names that
    occur twice.

    Example:

    >>> metric_sign("val_binary_crossentropy"), metric_sign("AUC_1")
    (-1, 1)
    >>> metric_sign("bleu")
    0
    """
    text = re.sub(r"[\s-]", "_", name.lower())
    text = "_" + re.sub(r"(_\d+)+$", "", text)
    if text.endswith(tuple(f"_{word}" for word in HIGHER)):
        return 1
    return -1 if text.endswith(tuple(f"_{word}" for word in LOWER)) else 0
