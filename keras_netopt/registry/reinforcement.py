"""Reinforcement learning: rows of the registry."""

from keras_netopt.registry.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="rl.PolicyGradient",
        kind="agent",
        summary="Trains a policy by policy gradients with a value baseline.",
        card="reinforcement",
        reference="Williams 1992, Machine Learning 8; Mnih et al. 2016, arXiv "
        "1602.01783; Schulman et al. 2015, arXiv 1506.02438",
    ),
    Method(
        name="rl.DQN",
        kind="agent",
        summary="Trains action values by double deep Q-learning.",
        card="reinforcement",
        reference="Mnih et al. 2015, Nature 518; van Hasselt et al. 2015, "
        "arXiv 1509.06461",
    ),
    Method(
        name="rl.PolicyGradientLoss",
        kind="loss",
        summary="Computes the loss whose gradient is the policy gradient.",
        card="reinforcement",
        reference="Williams 1992, Machine Learning 8",
    ),
    Method(
        name="rl.QLoss",
        kind="loss",
        summary="Compares the value of the chosen action with its target.",
        card="reinforcement",
        reference="Mnih et al. 2015, Nature 518",
    ),
    Method(
        name="rl.estimate_advantages",
        summary="Computes generalized advantage estimates of trajectories.",
        card="reinforcement",
        reference="Schulman et al. 2015, arXiv 1506.02438",
    ),
    Method(
        name="rl.cart_pole_variants",
        summary="Makes related cart pole tasks for transfer.",
        card="reinforcement",
        reference="Barto et al. 1983, IEEE Trans. Syst. Man Cybern. 13",
    ),
)
