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
from jaxmarl_lite.training.evaluate import evaluate

KEY, GAMMA = jax.random.key(0), 0.9
ENDLESS = 1.0 / (1.0 - GAMMA)
TINY = {"num_envs": 32, "rollout_length": 8, "hidden": (16,), "gamma": GAMMA, "lr": 1e-2, "epsilon_end": 0.1}
REPLAY = {"capacity": 64, "batch": 32, "warmup": 8, "gradient_steps": 4, "target_period": 50}
FRESH = {"minibatches": 2}
pytestmark = pytest.mark.usefixtures("quick_compilation")


def learn(name, env, updates=300, **settings):
    """Return (learner, state) after so many updates, and the mean return of each agent in greedy episodes."""
    kind = FRESH if PRESETS[name].experience == "fresh" else REPLAY
    learner = make_learner(name, **{**TINY, **kind, **settings})

    @jax.jit
    def run(env):
        def update(state, index):
            return learner.step(state, env, index / updates)[0], None

        state = jax.lax.scan(update, learner.init(KEY, env), jnp.arange(updates))[0]
        played = evaluate(learner.policy(env.spec), learner.params(state), env, KEY, episodes=64)
        return state, played.episode_return.mean(0)

    state, returned = run(env)
    return learner, state, np.asarray(returned)


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
def test_a_time_limit_is_looked_through_and_an_end_is_not(name, limited, value):
    env = make("probe/time_limit", limited=limited)
    learner, state, _ = learn(name, env)
    np.testing.assert_allclose(first_values(learner, env, state), value, rtol=0.05)


@pytest.mark.parametrize("name", ["iql", "qmix", "qtran_base", "qtran_alt", "qplex", "pqn"])
def test_agents_learn_what_to_do_and_dead_ones_do_not_matter(name):
    env = make("probe/dying_agent")
    learner, state, returned = learn(name, env)
    np.testing.assert_allclose(returned, [2.0, 1.0], atol=0.02)
    value = 1.0 + GAMMA / 2 if learner.settings.is_joint else [1.0 + GAMMA, 1.0]  # what is the team's is a mean
    values = first_values(learner, env, state)
    np.testing.assert_allclose(values, np.broadcast_to(value, values.shape), rtol=0.1)


@pytest.mark.parametrize("name", ["iql", "qmix", "qplex", "pqn"])
def test_values_go_on_while_an_agent_waits_for_its_turn(name):
    env = make("probe/turns")
    learner, state, returned = learn(name, env, epsilon_end=0.0)
    np.testing.assert_allclose(returned, [3.0, 3.0], atol=0.02)
    np.testing.assert_allclose(first_values(learner, env, state), 1.0 + GAMMA + GAMMA**2, rtol=0.05)


@pytest.mark.parametrize(("name", "sharing"), [("iql", "independent"), ("qmix", "group"), ("central_q", "shared")])
def test_unlike_agents_learn_with_parameters_of_their_own_or_as_one(name, sharing):
    *_, returned = learn(name, make("probe/unlike_agents"), sharing=sharing)
    np.testing.assert_allclose(returned, 1.0, atol=0.02)


GAMES = {"epsilon_start": 1.0, "epsilon_end": 1.0, "normalise_values": False, "hidden": (32,), "lr": 5e-3}


@pytest.mark.parametrize(("name", "best"), [("vdn", 7.0), ("qmix", 8.0)])
def test_a_sum_of_values_takes_the_safe_table_and_a_monotonic_one_the_better(name, best):
    *_, returned = learn(name, make("matrix/two_step"), 800, **{**GAMES, "gamma": 0.99})
    np.testing.assert_array_equal(returned, best)


@pytest.mark.parametrize("name", ["qtran_base", "qplex"])
def test_the_best_cell_is_found_though_it_lies_beside_the_worst(name):
    *_, returned = learn(name, make("matrix/non_monotonic", horizon=1), 1500, **{**GAMES, "gamma": 0.0, "lr": 2e-3})
    np.testing.assert_array_equal(returned, 8.0)


@pytest.mark.parametrize("name", ["qmix", "pqn"])
def test_a_cue_is_remembered_by_recurrent_networks(name):
    env = make("memory/cue", num_cues=2, delay=2)
    settings = {"memory": 16, "rollout_length": 6, **({} if name == "pqn" else {"capacity": 48, "sequence": 6})}
    settings |= {} if name == "pqn" else {"stride": 3, "warmup": 6}
    *_, returned = learn(name, env, 200, **settings)
    assert returned.min() > 0.95


KIT = {
    "n_step, bytes, rated": {"estimator": "n_step", "sequence": 4, "storage": "uint8", "priority": 0.6, "batch": 16},
    "lambda, soft": {"lam": 0.7, "sequence": 4, "target_period": 1, "target_rate": 0.02},
}


@pytest.mark.parametrize("settings", KIT.values(), ids=KIT)
def test_every_option_learns(settings):
    *_, returned = learn("vdn_dueling", make("probe/dying_agent"), **settings)
    np.testing.assert_allclose(returned, [2.0, 1.0], atol=0.02)


def test_a_table_finds_the_way_and_both_defect():
    *_, returned = learn("iql_tabular", make("grid/navigation"), 400, lr=0.2, epsilon_end=0.2, gamma=0.95)
    np.testing.assert_allclose(returned, 8.65, atol=1e-4)
    *_, returned = learn("iql_tabular", make("matrix/prisoners_dilemma", horizon=5), 200, lr=0.2)
    np.testing.assert_allclose(returned, 5.0)
