from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from flax import struct

from jaxmarl_lite.core.env import TimeStep
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.environments.registry import make
from jaxmarl_lite.learners.learner import Policy
from jaxmarl_lite.learners.presets import make_learner
from jaxmarl_lite.training.evaluate import Episodes, evaluate, summarise

HORIZON = 12
NOBODY = Policy(
    lambda num_envs: (), lambda params, carry, ts, restart, keys, greedy: (jnp.zeros(ts.active.shape, int), ())
)


@struct.dataclass(eq=False)
class Lottery:
    """Two agents; each episode lasts a random number of steps, which the first step pays to agent 0."""

    terminates: bool = struct.field(pytree_node=False)

    @property
    def spec(self):
        return Spec(("a", "b"), (1, 1), (2, 2), 1, HORIZON)

    def reset(self, key):
        state = (jax.random.randint(key, (), 1, HORIZON + 1), jnp.zeros((), jnp.int32))
        return state, self.observe(state)

    def step(self, key, state, action):
        lasts, time = state[0], state[1] + 1
        over = time >= lasts
        first, last = jnp.where(time == 1, lasts, 0), jnp.where(over, 100, 0)
        return (lasts, time), self.observe((lasts, time))._replace(
            reward=jnp.stack([first, last]).astype(jnp.float32),
            terminated=jnp.full(2, over & self.terminates),
            truncated=over & (not self.terminates),
        )

    def observe(self, state):
        return TimeStep(
            obs=jnp.full((2, 1), state[0], jnp.float32),
            state=jnp.full(1, state[0], jnp.float32),
            legal=jnp.ones((2, 2), bool),
            active=jnp.ones(2, bool),
            reward=jnp.zeros(2),
            terminated=jnp.zeros(2, bool),
            truncated=jnp.zeros((), bool),
        )


@pytest.mark.parametrize("terminates", [False, True], ids=["truncation", "termination"])
def test_each_episode_is_played_once_and_to_its_end(terminates):
    played = jax.jit(lambda key: evaluate(NOBODY, (), Lottery(terminates), key, episodes=64))(jax.random.key(2))
    length = np.asarray(played.length)
    assert len(set(length)) > 5
    assert length.min() >= 1
    assert length.max() <= HORIZON
    np.testing.assert_array_equal(played.episode_return[:, 0], length)  # paid at the first step, once
    np.testing.assert_array_equal(played.episode_return[:, 1], 100)  # paid at the last step, once


def test_episodes_of_one_agent_ending_go_on_until_all_have_ended():
    @struct.dataclass(eq=False)
    class OneEnds(Lottery):
        def step(self, key, state, action):
            state, ts = super().step(key, state, action)
            return state, ts._replace(terminated=ts.terminated.at[1].set(state[1] >= HORIZON))

    played = evaluate(NOBODY, (), OneEnds(True), jax.random.key(2), episodes=8)
    np.testing.assert_array_equal(played.length, HORIZON)


@pytest.mark.parametrize("greedy", [True, False])
@pytest.mark.parametrize("name", ["grid/navigation", "matrix/chicken"])
def test_returns_are_those_of_a_hand_rollout(name, greedy):
    env, learner = make(name, horizon=9), make_learner("ippo", num_envs=8, hidden=(8,))
    policy = learner.policy(env.spec)
    params = learner.params(jax.jit(learner.init)(jax.random.key(1), env))
    if not greedy:  # make chance impossible: the likeliest action gets all of the probability
        params = jax.tree.map(lambda x: 1e4 * x, params)
    played = jax.jit(lambda key: evaluate(policy, params, env, key, episodes=3, greedy=greedy))(jax.random.key(0))

    step, act = jax.jit(env.step), jax.jit(policy.act, static_argnames="greedy")
    state, ts = env.reset(jax.random.key(5))
    total, length = np.zeros(env.spec.num_agents), 0
    while not ts.done:
        batch = jax.tree.map(lambda x: x[None], ts)
        fresh, keys = jnp.array([length == 0]), jax.random.split(jax.random.key(7), 1)
        action, _ = act(params, policy.carry(1), batch, fresh, keys, greedy=True)
        state, ts = step(jax.random.key(6), state, action[0])
        total, length = total + np.asarray(ts.reward), length + 1
    np.testing.assert_allclose(played.episode_return, np.tile(total, (3, 1)), rtol=1e-6)
    np.testing.assert_array_equal(played.length, length)


def test_a_policy_is_told_of_its_first_step_and_keeps_its_memory():
    def act(params, carry, ts, restart, keys, greedy):
        carry = jnp.where(restart, 0, carry + 1)
        return jnp.stack([carry % 2, carry % 2], axis=1), carry

    counting = Policy(lambda num_envs: jnp.full(num_envs, 50), act)
    env = make("matrix/game", payoff=[[[0.0, 0.0], [0.0, 1.0]]] * 2, horizon=5)
    played = evaluate(counting, (), env, jax.random.key(0), episodes=2)
    np.testing.assert_array_equal(played.episode_return, 2)  # actions 0 1 0 1 0


def test_an_episode_is_the_same_whatever_their_number():
    def act(params, carry, ts, restart, keys, greedy):
        return jax.vmap(lambda key: jax.random.randint(key, (2,), 0, 4))(keys), carry

    env = make("grid/navigation", random_starts=True, random_goals=True, horizon=9)
    play = jax.jit(partial(evaluate, Policy(lambda num_envs: (), act), (), env), static_argnames="episodes")
    few, many = (play(jax.random.key(3), episodes=episodes) for episodes in (4, 16))
    assert len(np.unique(many.episode_return)) > 8
    np.testing.assert_array_equal(few.length, many.length[:4])
    np.testing.assert_allclose(few.episode_return, many.episode_return[:4], rtol=1e-6)


def test_it_may_be_mapped_over_parameters():
    def act(params, carry, ts, restart, keys, greedy):
        return jnp.full(ts.active.shape, params), carry

    env = make("matrix/game", payoff=[[[1.0, 0.0], [0.0, 2.0]]] * 2, horizon=5)
    constant = Policy(lambda num_envs: (), act)
    play = jax.vmap(lambda params: evaluate(constant, params, env, jax.random.key(0), episodes=2))
    np.testing.assert_array_equal(play(jnp.array([0, 1])).episode_return[:, 0, 0], [5, 10])


def test_a_summary_is_plain_means():
    returns = np.array([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 9.0]], [[0.0, 0.0], [0.0, 1.0]]])
    figures = summarise(Episodes(returns, np.array([[1, 2], [3, 4], [5, 6]])))
    per_seed = [5.0, 13.5, 0.5]
    low, high = scipy.stats.t.interval(0.95, 2, np.mean(per_seed), scipy.stats.sem(per_seed))
    assert figures["episodes"] == 6
    assert figures["return_sum"] == pytest.approx(np.mean(per_seed))
    assert figures["return_sum_per_seed"] == per_seed
    assert figures["return_per_agent"] == pytest.approx([16 / 6, 22 / 6])
    assert (figures["return_sum_min"], figures["return_sum_max"]) == (0, 16)
    assert figures["length"] == 3.5
    assert figures["return_sum_ci95"] == pytest.approx([low, high])


def test_the_interval_does_not_shrink_with_more_episodes_of_the_same_seeds():
    returns = np.array([[[1.0]], [[2.0]], [[4.0]]])
    few, many = (summarise(Episodes(np.repeat(returns, n, axis=1), np.ones((3, n)))) for n in (1, 100))
    assert few["return_sum_ci95"] == pytest.approx(many["return_sum_ci95"])


def test_one_seed_has_no_interval():
    assert summarise(Episodes(np.ones((1, 4, 2)), np.ones((1, 4))))["return_sum_ci95"] is None
