import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.environments.matrix.game import MatrixGame
from jaxmarl_lite.environments.matrix.named import NAMED_GAMES
from jaxmarl_lite.environments.registry import make

KEY = 0

# (row player's reward, column player's reward) for each joint action, row by row.
TABLES = {
    "prisoners_dilemma": [[(3, 3), (0, 5)], [(5, 0), (1, 1)]],
    "prisoners_dilemma_years": [[(-1, -1), (-3, 0)], [(0, -3), (-2, -2)]],
    "coordination": [[(2, 2), (0, 0)], [(0, 0), (1, 1)]],
    "battle_of_sexes": [[(2, 1), (0, 0)], [(0, 0), (1, 2)]],
    "stag_hunt": [[(2, 2), (0, 1)], [(1, 0), (1, 1)]],
    "chicken": [[(0, 0), (4, 1)], [(1, 4), (3, 3)]],
    "matching_pennies": [[(1, -1), (-1, 1)], [(-1, 1), (1, -1)]],
    "rock_paper_scissors": [[(0, 0), (-1, 1), (1, -1)], [(1, -1), (0, 0), (-1, 1)], [(-1, 1), (1, -1), (0, 0)]],
    "climbing": [[(11, 11), (-30, -30), (0, 0)], [(-30, -30), (7, 7), (0, 0)], [(0, 0), (6, 6), (5, 5)]],
    "non_monotonic": [[(8, 8), (-12, -12), (-12, -12)], [(-12, -12), (0, 0), (0, 0)], [(-12, -12), (0, 0), (0, 0)]],
    "shapley": [[(0, 0), (0, 1), (1, 0)], [(1, 0), (0, 0), (0, 1)], [(0, 1), (1, 0), (0, 0)]],
    "penalty": [[(-100, -100), (0, 0), (10, 10)], [(0, 0), (2, 2), (0, 0)], [(10, 10), (0, 0), (-100, -100)]],
}
PURE_EQUILIBRIA = {
    "prisoners_dilemma": {(1, 1)},
    "prisoners_dilemma_years": {(1, 1)},
    "coordination": {(0, 0), (1, 1)},
    "battle_of_sexes": {(0, 0), (1, 1)},
    "stag_hunt": {(0, 0), (1, 1)},
    "chicken": {(0, 1), (1, 0)},
    "matching_pennies": set(),
    "rock_paper_scissors": set(),
    "climbing": {(0, 0), (1, 1)},
    "non_monotonic": {(0, 0), (1, 1), (1, 2), (2, 1), (2, 2)},
    "shapley": set(),
    "penalty": {(0, 2), (2, 0), (1, 1)},
}


def key():
    return jax.random.key(KEY)


def rewards(env, actions):
    """Rewards [J, A] of the joint actions [J, A], each played first."""
    state, _ = env.reset(key())
    step = jax.jit(jax.vmap(env.step, in_axes=(None, None, 0)))
    return np.asarray(step(key(), state, jnp.asarray(actions, jnp.int32))[1].reward)


def test_every_named_game_is_tested_here():
    assert set(TABLES) == set(PURE_EQUILIBRIA) == set(NAMED_GAMES)


@pytest.mark.parametrize("name", TABLES)
def test_named_game_pays_its_table(name):
    table = np.array(TABLES[name], float)
    joint = list(np.ndindex(*table.shape[:2]))
    got = rewards(make(f"matrix/{name}"), joint)
    np.testing.assert_array_equal(got, [table[a] for a in joint])


@pytest.mark.parametrize("name", TABLES)
def test_named_game_has_its_pure_equilibria(name):
    payoff = make(f"matrix/{name}").payoff
    best = (payoff[0] == payoff[0].max(0)) & (payoff[1] == payoff[1].max(1, keepdims=True))
    assert set(map(tuple, np.argwhere(best).tolist())) == PURE_EQUILIBRIA[name]


@pytest.mark.parametrize("name", TABLES)
def test_named_game_takes_horizon_and_observation(name):
    env = make(f"matrix/{name}", horizon=3, observation="last_action")
    assert (env.spec.horizon, env.spec.obs_sizes) == (3, (sum(env.spec.action_sizes),) * 2)


def test_penalty_game_costs_k():
    np.testing.assert_array_equal(rewards(make("matrix/penalty", k=-7), [(0, 0), (2, 2)]), [[-7, -7], [-7, -7]])


@pytest.mark.parametrize("sizes", [(2, 3), (2, 2, 2), (3, 1, 2), (2, 3, 2, 4)])
def test_any_number_of_players_and_actions_is_paid_by_the_payoff(sizes):
    payoff = np.random.default_rng(0).normal(size=(len(sizes), *sizes)).astype(np.float32)
    env = MatrixGame(payoff)
    joint = list(itertools.product(*map(range, sizes)))
    np.testing.assert_array_equal(rewards(env, joint), [payoff[(slice(None), *a)] for a in joint])
    assert env.spec.action_sizes == sizes
    legal = np.asarray(env.reset(key())[1].legal)
    np.testing.assert_array_equal(legal.sum(1), sizes)
    assert all(legal[i, :size].all() for i, size in enumerate(sizes))


def test_players_see_the_joint_action_of_the_round_before():
    env = MatrixGame(np.zeros((3, 2, 3, 2)), observation="last_action")
    assert (env.spec.obs_sizes, env.spec.state_size) == ((7,) * 3, 7)
    state, ts = env.reset(key())
    np.testing.assert_array_equal(ts.obs, np.zeros((3, 7)))
    for action, seen in [((1, 2, 0), [0, 1, 0, 0, 1, 1, 0]), ((0, 0, 1), [1, 0, 1, 0, 0, 0, 1])]:
        state, ts = env.step(key(), state, jnp.array(action))
        np.testing.assert_array_equal(ts.obs, [seen] * 3)
        np.testing.assert_array_equal(ts.state, seen)


def test_constant_observation_is_always_one():
    env = MatrixGame(np.zeros((2, 2, 2)))
    state, ts = env.reset(key())
    assert env.spec.obs_sizes == (1, 1)
    for _ in range(3):
        np.testing.assert_array_equal(ts.obs, [[1.0], [1.0]])
        state, ts = env.step(key(), state, jnp.array([1, 0]))


@pytest.mark.parametrize("horizon", [1, 4])
def test_game_is_truncated_at_its_horizon_and_never_terminated(horizon):
    env = make("matrix/prisoners_dilemma", horizon=horizon)
    state, ts = env.reset(key())
    assert not ts.truncated
    for round_ in range(1, horizon + 1):
        state, ts = env.step(key(), state, jnp.array([0, 1]))
        assert bool(ts.truncated) is (round_ == horizon)
        assert not ts.terminated.any()


def test_payoff_is_a_leaf_so_that_games_can_be_vmapped_and_never_recompile():
    payoffs = np.random.default_rng(0).normal(size=(5, 2, 2, 3)).astype(np.float32)
    traces = []

    @jax.jit
    def play(env):
        traces.append(env)
        return env.step(key(), env.reset(key())[0], jnp.array([1, 2]))[1].reward

    for payoff in payoffs:
        np.testing.assert_array_equal(play(MatrixGame(payoff)), payoff[:, 1, 2])
    assert len(traces) == 1
    np.testing.assert_array_equal(jax.vmap(lambda p: play(MatrixGame(p)))(payoffs), payoffs[:, :, 1, 2])


@pytest.mark.parametrize(
    ("payoff", "message"),
    [
        ([[1, 2], [3, 4]], r"payoff of shape \[2, 2\] is not allowed"),
        ([1.0, 2.0], r"payoff of shape \[2\] is not allowed"),
        (np.zeros((3, 2, 2)), r"payoff of shape \[3, 2, 2\] is not allowed"),
        (np.zeros((2, 0, 2)), r"payoff of shape \[2, 0, 2\] is not allowed"),
        ([[[1, 2]], [[np.nan, 4]]], "it must be a finite number for each player and joint action"),
        ([[[1, 2]], [[3]]], "it must be a finite number for each player and joint action"),
        ([[["a", "b"]], [["c", "d"]]], "it must be a finite number for each player and joint action"),
    ],
)
def test_payoff_that_is_no_game_is_refused(payoff, message):
    with pytest.raises(SettingError, match=message):
        MatrixGame(payoff)
