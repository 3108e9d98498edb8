from math import comb

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.environments.actions import random_legal_action
from jaxmarl_lite.environments.comm.switch_riddle import NONE, OFF, ON, TELL
from jaxmarl_lite.environments.registry import make

KEY = jax.random.key(0)


def all_have_been(num, days):
    """The probability that all of `num` prisoners have been inside in so many days."""
    return sum((-1) ** k * comb(num, k) * ((num - k) / num) ** days for k in range(num + 1))


def returns_of(env, policy, episodes):
    """Returns of episodes whose actions are policy(key, state, ts, has this prisoner been inside before [A])."""

    def episode(key):
        starting, playing = jax.random.split(key)
        state, ts = env.reset(starting)

        def step(world, key):
            state, ts, been, is_over = world
            acting, moving = jax.random.split(key)
            action = policy(acting, state, ts, been)
            been |= ts.active
            state, ts = env.step(moving, state, action)
            return (state, ts, been, is_over | ts.done), jnp.where(is_over, 0.0, ts.reward[0])

        world = (state, ts, jnp.zeros(env.num_agents, bool), jnp.zeros((), bool))
        return jax.lax.scan(step, world, jax.random.split(playing, env.spec.horizon))[1].sum()

    return np.asarray(jax.jit(jax.vmap(episode))(jax.random.split(KEY, episodes)))


def count_to_three(key, state, ts, been):
    """Three prisoners' best: the switch is on as soon as two of them have been inside."""
    del key
    newcomer = jnp.where(ts.obs[:, 1] > 0, TELL, jnp.where(state.time == 0, NONE, ON))
    return jnp.where(been | ~ts.active, NONE, newcomer)


def test_prisoners_who_count_are_freed_whenever_all_have_been_inside():
    returns = returns_of(make("comm/switch_riddle"), count_to_three, 6000)
    assert set(returns.tolist()) == {0.0, 1.0}
    assert returns.mean() == pytest.approx(20 / 27, abs=0.025)
    assert all_have_been(3, 6) == pytest.approx(20 / 27)


def test_random_play_gets_what_the_text_says():
    exact = sum(0.75 ** (day - 1) * 0.25 * (2 * all_have_been(3, day) - 1) for day in range(1, 7))
    assert exact == pytest.approx(-0.480, abs=5e-4)
    env = make("comm/switch_riddle")
    returns = returns_of(env, lambda key, state, ts, been: random_legal_action(key, env.spec, ts.legal), 6000)
    assert returns.mean() == pytest.approx(exact, abs=0.04)


def with_inside(env, prisoner):
    state, _ = env.reset(KEY)
    return state._replace(inside=jnp.int32(prisoner), has_been=jnp.arange(env.num_agents) == prisoner)


def test_only_the_prisoner_in_the_room_sees_the_switch_and_may_act():
    env = make("comm/switch_riddle", num_agents=4)
    ts = env.observe(with_inside(env, 2)._replace(switch=jnp.array(True), time=jnp.int32(5)))
    np.testing.assert_array_equal(ts.obs, [[0, 0], [0, 0], [1, 1], [0, 0]])
    np.testing.assert_array_equal(ts.active, [0, 0, 1, 0])
    np.testing.assert_array_equal(ts.legal, [[1, 0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]])
    np.testing.assert_allclose(ts.state, [0, 0, 1, 0, 0, 0, 1, 0, 1, 0.5])


@pytest.mark.parametrize(
    ("before", "action", "after"), [(0, NONE, 0), (1, NONE, 1), (0, ON, 1), (1, ON, 1), (1, OFF, 0)]
)
def test_the_switch_is_as_it_was_left(before, action, after):
    env = make("comm/switch_riddle")
    state = with_inside(env, 1)._replace(switch=jnp.array(bool(before)))
    state, ts = env.step(KEY, state, jnp.array([ON, action, TELL]))  # what the others do is nothing
    assert bool(state.switch) == bool(after)
    assert not ts.done
    np.testing.assert_array_equal(ts.reward, 0.0)


@pytest.mark.parametrize(("has_been", "paid"), [((1, 1, 1), 1.0), ((0, 1, 1), -1.0)])
def test_telling_ends_it_and_pays_all_by_whether_it_is_true(has_been, paid):
    env = make("comm/switch_riddle")
    state = with_inside(env, 1)._replace(has_been=jnp.array(has_been, bool))
    _, ts = env.step(KEY, state, jnp.array([NONE, TELL, NONE]))
    np.testing.assert_array_equal(ts.reward, [paid] * 3)
    assert np.asarray(ts.terminated).all()
    assert not ts.truncated


@pytest.mark.parametrize("num", [2, 3, 5])
def test_it_ends_behind_the_last_day(num):
    env = make("comm/switch_riddle", num_agents=num)
    step = jax.jit(env.step)
    state, ends = env.reset(KEY)[0], []
    for day in range(4 * num - 6):
        before = state.has_been
        state, ts = step(jax.random.fold_in(KEY, day), state, jnp.zeros(num, int))
        ends.append(bool(ts.terminated.all()))
        np.testing.assert_array_equal(state.has_been, before | (jnp.arange(num) == state.inside))
    assert ends == [False] * (4 * num - 7) + [True]


def test_one_prisoner_is_no_riddle():
    with pytest.raises(SettingError, match="num_agents=1 is not allowed: it must be an integer of at least 2"):
        make("comm/switch_riddle", num_agents=1)
