"""The direction of Keras' metrics, by their names."""

import pytest

from keras_netopt.metric_direction import metric_sign

pytestmark = pytest.mark.no_backend
LARGER = (
    "accuracy acc val_accuracy sparse_top_k_categorical_accuracy precision "
    "recall_2 auc AUC val_auc_1 f1_score r2_score mean_io_u binary_io_u iou "
    "head_accuracy sensitivity_at_specificity cosine_similarity "
    "pearson_correlation true_positives"
).split()
SMALLER = (
    "loss val_loss head_loss mse mean_squared_error mae MAPE "
    "binary_crossentropy sparse_categorical_crossentropy kl_divergence "
    "categorical_hinge poisson false_negatives root_mean_squared_error_1"
).split()


def test_the_last_word_of_a_metric_gives_its_direction():
    assert [n for n in LARGER if metric_sign(n) != 1] == []
    assert [n for n in SMALLER if metric_sign(n) != -1] == []
    unknown = ("bleu", "lossy", "inaccuracy", "epoch", "accuracy_drop", "")
    assert [n for n in unknown if metric_sign(n) != 0] == []
