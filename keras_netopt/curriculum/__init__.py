"""What a model sees next: difficulty, pacing, order, and losses that weigh."""

from keras_netopt.curriculum.lambert_w import lambert_w
from keras_netopt.curriculum.super_loss import SuperLoss

__all__ = ["SuperLoss", "lambert_w"]
