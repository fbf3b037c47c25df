"""Variants of the cart pole, against the equations of its motion."""

import numpy as np
import pytest

from keras_netopt import rl

pytestmark = pytest.mark.no_backend

MAKE = rl.cart_pole_variants()


def play(name, actions=(1, 1, 0, 1, 0), seed=3):
    environment = MAKE[name]()
    first, _ = environment.reset(seed=seed)
    steps = [environment.step(action)[0] for action in actions]
    environment.close()
    return np.array([first, *steps], "float64")


def acceleration(state, action, gravity=9.8, half=0.5, force=10.0):
    """Of the pole's angle, by Florian's equation without friction."""
    _, _, angle, speed = state
    push = force if action else -force
    sine, cosine = np.sin(angle), np.cos(angle)
    cart = (push + 0.1 * half * speed**2 * sine) / 1.1
    return (gravity * sine - cosine * cart) / (
        half * (4 / 3 - 0.1 * cosine**2 / 1.1)
    )


@pytest.mark.parametrize(
    ("name", "physics"),
    [
        ("standard", {}),
        ("gravity", {"gravity": 19.6}),
        ("long_pole", {"half": 1.0}),
        ("weak_force", {"force": 5.0}),
    ],
)
def test_the_pole_moves_by_the_changed_physics(name, physics):
    found = play(name, actions := (1, 1, 1, 0, 1))

    for before, after, action in zip(found, found[1:], actions, strict=False):
        wanted = before[3] + 0.02 * acceleration(before, action, **physics)
        assert after[3] == pytest.approx(wanted, abs=1e-5)


def test_mirrored_actions_are_exchanged():
    assert np.array_equal(
        play("mirrored", (0, 0, 1)), play("standard", (1, 1, 0))
    )


def test_scaled_observations_are_proportional():
    wanted = play("standard") * [0.25, 0.5, 2.0, 4.0]
    np.testing.assert_allclose(play("scaled"), wanted, rtol=1e-6)


def test_noise_is_added_and_repeats_with_a_seed():
    first = play("noisy")

    assert np.array_equal(first, play("noisy"))
    assert not np.array_equal(first, play("noisy", seed=4))
    assert 0.01 < np.std(first[:, 0]) < 0.2


def test_all_variants_share_spaces_and_the_time_limit():
    for make in MAKE.values():
        environment = make()
        assert environment.observation_space.shape == (4,)
        assert environment.action_space.n == 2
        assert environment.spec.max_episode_steps == 500
        environment.close()
