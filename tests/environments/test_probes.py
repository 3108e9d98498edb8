import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.environments.registry import envs, make

KEY = jax.random.key(0)


def play(env, answer):
    """Return the stacked steps [T, ...] of an episode, and its signs."""
    state, ts = env.reset(KEY)
    sign, steps = state.sign, []
    while not bool(ts.done):
        state, ts = env.step(KEY, state, answer(state))
        steps.append(ts)
    return jax.tree.map(lambda *x: np.stack(x), *steps), np.asarray(sign)


def see(state):
    return state.sign


PAID = {
    "probe/constant_reward": (lambda state: jnp.zeros(1, int), [[1.0]]),
    "probe/delayed_reward": (lambda state: jnp.zeros(1, int), [[0.0], [0.0], [1.0]]),
    "probe/chosen_reward": (lambda state: jnp.ones(1, int), [[1.0]]),
    "probe/credit": (see, [[2.0, 2.0]]),
    "probe/time_limit": (lambda state: jnp.zeros(1, int), [[1.0]] * 4),
    "probe/unlike_agents": (see, [[1.0, 1.0]]),
    "probe/dying_agent": (see, [[1.0, 1.0], [1.0, 0.0]]),
    "probe/turns": (see, [[1.0, 1.0]] * 3),
}


@pytest.mark.parametrize("name", PAID)
def test_a_probe_pays_for_what_its_name_says(name):
    answer, rewards = PAID[name]
    steps, _ = play(make(name), answer)
    np.testing.assert_array_equal(steps.reward, rewards)


def test_what_is_observed_is_what_is_paid():
    env = make("probe/observed_reward")
    for key in jax.random.split(KEY, 8):
        state, ts = env.reset(key)
        _, after = env.step(KEY, state, jnp.zeros(1, int))
        assert float(after.reward[0]) == 2.0 * float(ts.obs[0, 1]) - 1.0


def test_wrong_answers_are_not_paid():
    steps, _ = play(make("probe/unlike_agents"), lambda state: (state.sign + 1) % jnp.array([2, 4]))
    np.testing.assert_array_equal(steps.reward, [[0.0, 0.0]])
    env = make("probe/chosen_reward", continuous=True)
    state, _ = env.reset(KEY)
    reward = [float(env.step(KEY, state, jnp.array([[x]]))[1].reward[0]) for x in (0.5, -0.5, 1.0)]
    np.testing.assert_allclose(reward, [1.0, 0.0, 0.5])


@pytest.mark.parametrize("limited", [True, False])
def test_a_time_limit_truncates_and_an_end_terminates(limited):
    steps, _ = play(make("probe/time_limit", limited=limited), lambda state: jnp.zeros(1, int))
    assert (bool(steps.truncated[-1]), bool(steps.terminated[-1].all())) == (limited, not limited)
    assert not steps.truncated[:-1].any()
    assert not steps.terminated[:-1].any()


def test_a_dead_agent_is_not_active_and_has_terminated():
    steps, _ = play(make("probe/dying_agent"), see)
    np.testing.assert_array_equal(steps.active[0], [True, False])
    np.testing.assert_array_equal(steps.terminated, [[False, True], [True, True]])


def test_those_whose_turn_it_is_not_wait_with_nothing_to_choose_and_are_not_gone():
    steps, _ = play(make("probe/turns"), lambda state: jnp.where(jnp.arange(2) == state.time % 2, state.sign, 1))
    np.testing.assert_array_equal(steps.active[:2], [[False, True], [True, False]])
    np.testing.assert_array_equal(steps.legal.sum(-1)[:2], [[1, 2], [2, 1]])
    np.testing.assert_array_equal(steps.terminated, [[False, False], [False, False], [True, True]])
    np.testing.assert_array_equal(steps.reward, 1.0)


def test_unlike_agents_have_sizes_of_their_own():
    spec = make("probe/unlike_agents").spec
    assert (spec.obs_sizes, spec.action_sizes, spec.groups) == ((3, 5), (2, 4), ((0,), (1,)))
    assert len([name for name in envs() if name.startswith("probe/")]) == 9
