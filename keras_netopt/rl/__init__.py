"""Reinforcement learning: agents around Keras models, for gymnasium."""

from keras_netopt.rl.advantages import estimate_advantages
from keras_netopt.rl.cart_pole_variants import cart_pole_variants
from keras_netopt.rl.dqn import DQN
from keras_netopt.rl.policy_gradient import PolicyGradient
from keras_netopt.rl.policy_gradient_loss import PolicyGradientLoss
from keras_netopt.rl.q_loss import QLoss

__all__ = [
    "DQN",
    "PolicyGradient",
    "PolicyGradientLoss",
    "QLoss",
    "cart_pole_variants",
    "estimate_advantages",
]
