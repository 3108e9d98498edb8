from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.environments.actions import random_action
from jaxmarl_lite.environments.grid.navigation import Navigation
from jaxmarl_lite.environments.matrix.named import NAMED_GAMES
from jaxmarl_lite.environments.mpe.simple_spread import SimpleSpread
from jaxmarl_lite.environments.vectorize import vectorize

E = 6


@struct.dataclass(eq=False)
class WithoutObserve:
    """An environment that has nothing but what every environment has."""

    env: Any

    @property
    def spec(self):
        return self.env.spec

    def reset(self, key):
        return self.env.reset(key)

    def step(self, key, state, action):
        return self.env.step(key, state, action)


ENVS = {
    "navigation": Navigation(size=3, horizon=7, random_starts=True, random_goals=True),
    "continuous spread": SimpleSpread(num_agents=2, continuous=True),
    "matrix": NAMED_GAMES["climbing"](horizon=4, observation="last_action"),
}
any_env = pytest.mark.parametrize("env", ENVS.values(), ids=ENVS)


@jax.jit
def step(venv, key, state, action):
    return venv.step(key, state, action)


@jax.jit
def begin(venv, key):
    return venv.reset(key)


def out_of_step(env):
    """E episodes of which each has played one step more than the one before, and a random action for each."""
    venv = vectorize(env, E)
    state, _ = begin(venv, jax.random.key(0))
    state = state._replace(time=jnp.arange(E, dtype=jnp.int32) % env.spec.horizon)
    return venv, state, random_action(jax.random.key(1), env.spec, E)


def assert_same(a, b, **tolerance):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerance), a, b)


def assert_same_bits(a, b):
    """Assert that whole numbers and random keys are the same, and other numbers but for rounding."""
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        is_key = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        x, y = (jax.random.key_data(z) if is_key else z for z in (x, y))
        tolerance = 1e-5 if jnp.issubdtype(x.dtype, jnp.floating) else 0
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


def select(flags, tree, other):
    """Return the rows of `tree` where flags [E] are set, else those of `other`."""
    return jax.tree.map(lambda x, y: np.where(flags.reshape(E, *[1] * (x.ndim - 1)), x, y), tree, other)


@any_env
def test_successor_is_the_true_outcome_and_ts_the_same_but_where_an_episode_ended(env):
    venv, state, action = out_of_step(env)
    look = jax.jit(jax.vmap(env.observe))
    play_on = jax.jit(jax.vmap(env.step, in_axes=(None, 0, 0)))
    ended = np.zeros(E, int)
    for t in range(env.spec.horizon):
        key = jax.random.key(t)
        following, successor, ts = step(venv, key, state, action)
        true_state, true_outcome = play_on(key, state, action)
        done = np.asarray(true_outcome.done)
        ended += done
        assert_same(successor, true_outcome, rtol=1e-5, atol=1e-5)
        assert_same(ts, select(done, look(following), true_outcome), rtol=1e-5, atol=1e-5)
        assert_same(following, select(done, following, true_state), rtol=1e-5, atol=1e-5)
        assert not np.asarray(following.time)[done].any()
        assert not np.asarray(ts.done)[done].any()
        assert not np.asarray(ts.reward)[done].any()
        state = following
    assert (ended >= 1).all()  # every episode ended, each in its own time


@any_env
def test_results_are_the_same_without_observe(env):
    def play(env):
        venv, state, action = out_of_step(env)
        keys = jax.random.split(jax.random.key(2), 2 * env.spec.horizon)

        def play_on(state, key):
            out = venv.step(key, state, action)
            return out[0], out

        return jax.jit(lambda state: jax.lax.scan(play_on, state, keys)[1])(state)

    assert not hasattr(WithoutObserve(env), "observe")
    with_observe, without = play(env), play(WithoutObserve(env))
    assert np.asarray(with_observe[1].done).sum() >= E
    assert_same(with_observe, without, rtol=1e-4, atol=1e-4)


def test_episodes_begin_differently_in_each_instance_and_after_each_end():
    venv, state, action = out_of_step(ENVS["continuous spread"])
    starts = []
    for t in range(2 * 25):
        state, successor, _ = step(venv, jax.random.key(t), state, action)
        places = np.asarray(state.landmark_pos)[np.asarray(successor.done)]
        starts += [tuple(row.ravel()) for row in places]
    assert len(starts) == 2 * E
    assert len(set(starts)) == len(starts)


@any_env
def test_the_same_key_gives_the_same_step_and_shapes_have_a_leading_axis(env):
    venv, state, action = out_of_step(env)
    spec = venv.spec
    a, b = (step(venv, jax.random.key(5), state, action) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, a, b)
    for ts in (a[1], a[2], begin(venv, jax.random.key(0))[1]):
        assert ts.obs.shape == (E, spec.num_agents, *spec.obs_shape)
        assert ts.state.shape == (E, spec.state_size)
        assert ts.legal.shape == (E, spec.num_agents, spec.num_actions)
        assert ts.reward.shape == ts.active.shape == ts.terminated.shape == (E, spec.num_agents)
        assert ts.truncated.shape == (E,)


def test_another_key_begins_another_episode():
    venv = vectorize(SimpleSpread(), 2)
    (a, _), (b, _) = (begin(venv, jax.random.key(seed)) for seed in range(2))
    assert not np.allclose(a.agent_pos, b.agent_pos)
    assert not np.allclose(a.agent_pos[0], a.agent_pos[1])


def test_a_vectorised_environment_can_be_vmapped_over_seeds():
    venv, state, action = out_of_step(Navigation(horizon=E))
    keys = jax.random.split(jax.random.key(0), 3)
    many = jax.jit(jax.vmap(venv.step, in_axes=(0, None, None)))(keys, state, action)
    for i, key in enumerate(keys):
        assert_same(
            [leaf[i] for leaf in jax.tree.leaves(many)], jax.tree.leaves(step(venv, key, state, action)), rtol=1e-6
        )


def test_resets_stay_in_a_branch_also_under_vmap():
    venv, state, action = out_of_step(SimpleSpread())
    keys = jax.random.split(jax.random.key(0), 3)
    many = jax.vmap(venv.step, in_axes=(0, None, None))
    assert " conditional(" in jax.jit(many).lower(keys, state, action).compile().as_text()


@struct.dataclass(eq=False)
class Dice:
    """Carries a random key in its state, and shows a number that it draws from it."""

    env: Navigation

    @property
    def spec(self):
        return self.env.spec

    def reset(self, key):
        state, ts = self.env.reset(key)
        return (state, key), ts

    def step(self, key, state, action):
        inner, own = state
        own, drawing = jax.random.split(own)
        inner, ts = self.env.step(key, inner, action)
        return (inner, own), ts._replace(reward=ts.reward + jax.random.uniform(drawing))


def test_state_may_carry_a_random_key():
    venv = vectorize(Dice(Navigation(horizon=2)), E)
    state, _ = begin(venv, jax.random.key(0))
    rewards = []
    for t in range(4):
        state, successor, _ = step(venv, jax.random.key(t), state, jnp.zeros((E, 2), jnp.int32))
        rewards += np.asarray(successor.reward)[:, 0].tolist()
    assert len(set(rewards)) == 4 * E


def test_keys_follow_from_the_key_and_the_number_of_the_instance_alone():
    key, env = jax.random.key(3), SimpleSpread()
    keys = {
        (num_envs, first): np.asarray(jax.random.key_data(vectorize(env, num_envs, first=first).keys(key)))
        for num_envs, first in [(1, 0), (4, 0), (8, 0), (4, 4), (3, 2)]
    }
    whole = keys[8, 0]
    assert len({tuple(row) for row in whole}) == 8
    for (num_envs, first), part in keys.items():
        np.testing.assert_array_equal(part, whole[first : first + num_envs])
    np.testing.assert_array_equal(whole[5], jax.random.key_data(jax.random.fold_in(key, 5)))
    other = jax.random.key_data(vectorize(env, 8).keys(jax.random.key(4)))
    assert (np.asarray(other) != whole).any(1).all()


@pytest.mark.parametrize(("num_envs", "first"), [(4, 0), (3, 5)])
@pytest.mark.parametrize(
    "env", [ENVS["continuous spread"], Dice(Navigation(horizon=3, random_starts=True))], ids=["spread", "dice"]
)
def test_an_instance_is_the_same_whatever_their_number_and_wherever(env, num_envs, first):
    mine = slice(first, first + num_envs)
    whole, part = vectorize(env, 8), vectorize(env, num_envs, first=first)
    (state, ts), (few_state, few_ts) = (begin(venv, jax.random.key(0)) for venv in (whole, part))
    for t in range(4):
        action = random_action(jax.random.key(t), env.spec, 8)
        assert_same_bits(few_state, jax.tree.map(lambda x: x[mine], state))
        assert_same(few_ts, jax.tree.map(lambda x: x[mine], ts), rtol=1e-5, atol=1e-5)
        state, _, ts = step(whole, jax.random.key(t), state, action)
        few_state, _, few_ts = step(part, jax.random.key(t), few_state, action[mine])


@pytest.mark.parametrize("num_envs", [0, -1, 2.0, True])
def test_number_of_instances_must_be_a_positive_integer(num_envs):
    with pytest.raises(SettingError, match=r"num_envs=.* is not allowed: it must be an integer of at least 1"):
        vectorize(SimpleSpread(), num_envs)
