"""Every preset in worlds whose values and best actions are known: what fails says what is wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.environments.registry import make
from jaxmarl_lite.learners.actor_critic import networks
from jaxmarl_lite.learners.experience import value_of
from jaxmarl_lite.learners.on_policy_settings import OnPolicySettings
from jaxmarl_lite.learners.presets import PRESETS, make_learner
from jaxmarl_lite.learners.sight import see_step

KEY, GAMMA = jax.random.key(0), 0.9
TINY = {"num_envs": 32, "rollout_length": 8, "hidden": (16,), "minibatches": 2, "gamma": GAMMA, "entropy": 0.0}
UPDATES = 400
ON_POLICY = sorted(name for name, settings in PRESETS.items() if isinstance(settings, OnPolicySettings))
# Plain gradient steps and those of a critic beside a trust region are few for each rollout: let them be large.
RATES = {"ippo": 1e-2, "mappo": 1e-2, "happo": 1e-2, "impala": 1e-2, "coma": 1e-2}


def tiny(name, **settings):
    return make_learner(name, **{**TINY, "lr": RATES.get(name, 2e-2), **settings})


def first_values(learner, env, state):
    """Return what is seen as episodes begin [E, A, O], and what it is worth in units of reward [E, A]."""
    _, ts = jax.vmap(env.reset)(jax.random.split(KEY, 32))
    nets = networks(learner.settings, env.spec)
    seen = see_step(learner.settings, state.sight, ts, jnp.ones(32, bool))
    is_told = learner.settings.baseline == "counterfactual"
    basis = nets.head.basis(jnp.zeros((32, 1, env.spec.num_agents), jnp.int32)) if is_told else None
    return ts.obs, state.returns.restore(value_of(nets, state.params, nets.memory(32), seen, basis)[:, 0])


ENDLESS = 1.0 / (1.0 - GAMMA)
VALUES = {
    "probe/constant_reward": ({}, lambda obs: np.ones((32, 1))),
    "probe/observed_reward": ({}, lambda obs: 2.0 * obs[:, :, 1] - 1.0),
    "probe/delayed_reward": ({}, lambda obs: np.full((32, 1), GAMMA**2)),
    "truncated": ({"limited": True}, lambda obs: np.full((32, 1), ENDLESS)),
    "terminated": ({"limited": False}, lambda obs: np.full((32, 1), (1.0 - GAMMA**4) * ENDLESS)),
}
# What every critic must get right; the simpler ones fail only where these do.
HARD_VALUES = ("probe/observed_reward", "truncated", "terminated")
# Made of what others are made of: the critic of one, the objective of another. The hardest world will do for them.
COMPOSED = ("maa2c", "happo", "matrpo", "hatrpo")


def worlds_of_values(name):
    return VALUES if name == "ippo" else ["truncated"] if name in COMPOSED else HARD_VALUES


@pytest.mark.parametrize(("name", "world"), [(name, world) for name in ON_POLICY for world in worlds_of_values(name)])
def test_values_are_those_that_are_known(learn, name, world):
    settings, expected = VALUES[world]
    env = make(world if "/" in world else "probe/time_limit", **settings)
    obs, values = learn(tiny(name), env, UPDATES, first_values)
    np.testing.assert_allclose(values, expected(obs), rtol=0.05, atol=0.05)


BEST = {
    "probe/chosen_reward": [1.0],
    "probe/credit": [2.0, 2.0],
    "probe/unlike_agents": [1.0, 1.0],
    "probe/dying_agent": [2.0, 1.0],
}


# Where a single agent chooses, a learner fails only where it does with two.
HARD_BEST = ("probe/credit", "probe/unlike_agents", "probe/dying_agent")


def worlds_of_best(name):
    return BEST if name == "ippo" else ["probe/dying_agent"] if name in COMPOSED else HARD_BEST


@pytest.mark.parametrize(("name", "world"), [(name, world) for name in ON_POLICY for world in worlds_of_best(name)])
def test_the_best_actions_are_found(learn, name, world):
    np.testing.assert_allclose(learn(tiny(name), make(world), UPDATES), BEST[world], atol=0.02)


@pytest.mark.parametrize("sharing", ["group", "independent"])
@pytest.mark.parametrize("name", ["mappo", "maa2c", "coma", "matrpo"])
def test_unlike_agents_learn_with_parameters_of_their_own(learn, name, sharing):
    returned = learn(tiny(name, sharing=sharing), make("probe/unlike_agents"), UPDATES)
    np.testing.assert_allclose(returned, 1.0, atol=0.02)


@pytest.mark.parametrize(("name", "settings"), [("ippo", {"lam": 0.0}), ("happo", {})])
def test_values_go_on_while_an_agent_waits_for_its_turn(learn, name, settings):
    returned, (_, values) = learn(tiny(name, **settings), make("probe/turns"), UPDATES, also=first_values)
    np.testing.assert_allclose(values, 1.0 + GAMMA + GAMMA**2, rtol=0.05)
    np.testing.assert_allclose(returned, 3.0, atol=0.02)


# How actions keep to their range is the actor's alone, and the same for all: two objectives and a baseline try both.
@pytest.mark.parametrize(
    ("name", "bounds"), [*((name, "tanh") for name in ON_POLICY), ("ippo", "cut"), ("coma", "cut"), ("hatrpo", "cut")]
)
def test_continuous_actions_are_learnt(learn, name, bounds):
    env = make("probe/chosen_reward", continuous=True)
    assert learn(tiny(name, bounds=bounds, lr=5e-3), env, UPDATES) > 0.9  # a random action gets 0.375


# Options that do not concern one another share a run.
KIT = [
    {"normalise_values": "popart", "normalise_obs": True, "max_kl": 0.05},
    {"normalise_values": "off", "huber": 1.0, "layer_norm": True},
    {"normalise_values": "off", "scale_rewards": True, "start": "normal", "anneal_entropy": True, "entropy": 0.01},
]


@pytest.mark.parametrize("settings", KIT, ids=", ".join)
def test_every_option_learns(learn, settings):
    returned = learn(tiny("mappo", **settings), make("probe/dying_agent"), UPDATES)
    np.testing.assert_allclose(returned, [2.0, 1.0], atol=0.02)


# Updates that are enough for each: many of a single gradient step, few of a trust region's.
TO_REMEMBER = {"coma": 1000, "ippo": 300, "impala": 600, "hatrpo": 100}


@pytest.mark.parametrize("name", TO_REMEMBER)  # each objective, sequential or not, each sight of a critic
def test_a_cue_is_remembered_by_recurrent_networks_alone(learn, name):
    # A trust region's steps are dear, each of some ten gradients, and so are passes: a shorter way to remember will do.
    is_dear = PRESETS[name].objective == "trust_region" or PRESETS[name].passes > 1
    env = make("memory/cue", num_cues=2, delay=2) if is_dear else make("memory/cue", num_cues=3, delay=3)
    # Single gradient steps at so high a rate settle on one cue too few in one start of four with less than they ship.
    entropy = PRESETS[name].entropy if PRESETS[name].objective == "gradient" else 0.01
    settings = {"num_envs": 64, "rollout_length": 6 if is_dear else 12, "gamma": 0.95, "entropy": entropy}
    updates = TO_REMEMBER[name]
    assert learn(tiny(name, memory=16, **settings), env, updates).min() > 0.9
    if name == "ippo":
        assert learn(tiny(name, **settings), env, updates).max() < 0.6  # chance is 1/3
