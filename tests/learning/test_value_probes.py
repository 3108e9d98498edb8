"""Value-based presets in worlds whose values and best actions are known: what fails says what is wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.environments.registry import make
from jaxmarl_lite.learners.presets import PRESETS, make_learner
from jaxmarl_lite.learners.q_nets import q_networks
from jaxmarl_lite.learners.sight import see_step
from jaxmarl_lite.learners.units import units_of

KEY, GAMMA = jax.random.key(0), 0.9
ENDLESS = 1.0 / (1.0 - GAMMA)
TINY = {"num_envs": 32, "rollout_length": 8, "hidden": (16,), "gamma": GAMMA, "lr": 1e-2, "epsilon_end": 0.1}
REPLAY = {"capacity": 64, "batch": 32, "warmup": 8, "gradient_steps": 4, "target_period": 50}
FRESH = {"minibatches": 2}
UPDATES = 300


def tiny(name, **settings):
    kind = FRESH if PRESETS[name].experience == "fresh" else REPLAY
    return make_learner(name, **{**TINY, **kind, **settings})


def first_values(learner, env, state):
    """Return what the best actions of first steps are worth, [32, G], in units of reward."""
    nets = q_networks(learner.settings, env.spec)
    _, ts = jax.vmap(env.reset)(jax.random.split(KEY, 32))
    seen = see_step(learner.settings, None, ts, jnp.ones(32, bool))
    _, outputs = nets.agent.apply(state.params.agent, nets.agent.carry(32), jnp.swapaxes(seen.obs, 0, 1), seen.restart)
    now = nets.utilities(outputs, seen)
    values = nets.mixer.apply(state.params.mixer, now, now.best)[:, 0]
    return units_of(learner.settings, state.told, jnp.asarray(GAMMA)).restore(values)


@pytest.mark.parametrize("name", ["iql", "pqn"])
@pytest.mark.parametrize(("limited", "value"), [(True, ENDLESS), (False, (1.0 - GAMMA**4) * ENDLESS)])
def test_a_time_limit_is_looked_through_and_an_end_is_not(learn, name, limited, value):
    env = make("probe/time_limit", limited=limited)
    np.testing.assert_allclose(learn(tiny(name), env, UPDATES, first_values), value, rtol=0.05)


@pytest.mark.parametrize("name", ["iql", "qmix", "qtran_base", "qtran_alt", "qplex", "pqn"])
def test_agents_learn_what_to_do_and_dead_ones_do_not_matter(learn, name):
    learner = tiny(name)
    returned, values = learn(learner, make("probe/dying_agent"), UPDATES, also=first_values)
    np.testing.assert_allclose(returned, [2.0, 1.0], atol=0.02)
    value = 1.0 + GAMMA / 2 if learner.settings.is_joint else [1.0 + GAMMA, 1.0]  # what is the team's is a mean
    np.testing.assert_allclose(values, np.broadcast_to(value, values.shape), rtol=0.1)


@pytest.mark.parametrize("name", ["iql", "qmix", "qplex", "pqn"])
def test_values_go_on_while_an_agent_waits_for_its_turn(learn, name):
    returned, values = learn(tiny(name, epsilon_end=0.0), make("probe/turns"), UPDATES, also=first_values)
    np.testing.assert_allclose(returned, [3.0, 3.0], atol=0.02)
    np.testing.assert_allclose(values, 1.0 + GAMMA + GAMMA**2, rtol=0.05)


@pytest.mark.parametrize(("name", "sharing"), [("iql", "independent"), ("qmix", "group"), ("central_q", "shared")])
def test_unlike_agents_learn_with_parameters_of_their_own_or_as_one(learn, name, sharing):
    returned = learn(tiny(name, sharing=sharing), make("probe/unlike_agents"), UPDATES)
    np.testing.assert_allclose(returned, 1.0, atol=0.02)


GAMES = {"epsilon_start": 1.0, "epsilon_end": 1.0, "normalise_values": False, "hidden": (32,), "lr": 5e-3}


@pytest.mark.parametrize(("name", "best"), [("vdn", 7.0), ("qmix", 8.0)])
def test_a_sum_of_values_takes_the_safe_table_and_a_monotonic_one_the_better(learn, name, best):
    returned = learn(tiny(name, **{**GAMES, "gamma": 0.99}), make("matrix/two_step"), 800)
    np.testing.assert_array_equal(returned, best)


@pytest.mark.parametrize("name", ["qtran_base", "qplex"])
def test_the_best_cell_is_found_though_it_lies_beside_the_worst(learn, name):
    learner = tiny(name, **{**GAMES, "gamma": 0.0, "lr": 2e-3})
    np.testing.assert_array_equal(learn(learner, make("matrix/non_monotonic", horizon=1), 1500), 8.0)


@pytest.mark.parametrize("name", ["qmix", "pqn"])
def test_a_cue_is_remembered_by_recurrent_networks(learn, name):
    env = make("memory/cue", num_cues=2, delay=2)
    settings = {"memory": 16, "rollout_length": 6, **({} if name == "pqn" else {"capacity": 48, "sequence": 6})}
    settings |= {} if name == "pqn" else {"stride": 3, "warmup": 6}
    assert learn(tiny(name, **settings), env, 200).min() > 0.95


KIT = {
    "n_step, bytes, rated": {"estimator": "n_step", "sequence": 4, "storage": "uint8", "priority": 0.6, "batch": 16},
    "lambda, soft": {"lam": 0.7, "sequence": 4, "target_period": 1, "target_rate": 0.02},
}


@pytest.mark.parametrize("settings", KIT.values(), ids=KIT)
def test_every_option_learns(learn, settings):
    returned = learn(tiny("vdn_dueling", **settings), make("probe/dying_agent"), UPDATES)
    np.testing.assert_allclose(returned, [2.0, 1.0], atol=0.02)


def test_a_table_finds_the_way_and_both_defect(learn):
    learner = tiny("iql_tabular", lr=0.2, epsilon_end=0.2, gamma=0.95)
    np.testing.assert_allclose(learn(learner, make("grid/navigation"), 400), 8.65, atol=1e-4)
    learner = tiny("iql_tabular", lr=0.2)
    np.testing.assert_allclose(learn(learner, make("matrix/prisoners_dilemma", horizon=5), 200), 5.0)


def test_those_that_learn_by_the_mean_of_all_rewards_cooperate(learn):
    learner = tiny("iql_tabular", lr=0.2, share_rewards=True)
    np.testing.assert_allclose(learn(learner, make("matrix/prisoners_dilemma", horizon=5), 200), 15.0)
