import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.environments.actions import random_action
from jaxmarl_lite.environments.grid.coin_game import CoinState
from jaxmarl_lite.environments.registry import make

UP, DOWN, LEFT, RIGHT = range(4)
MOVES = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)])
KEY = jax.random.key(0)


@jax.jit
def step(env, key, state, action):
    return env.step(key, state, action)


def state_of(agents, coin, owner):
    return CoinState(jnp.array(agents), jnp.array(coin), jnp.int32(owner), jnp.int32(0))


@pytest.mark.parametrize(
    ("owner", "actions", "reward"),
    [
        (0, (RIGHT, UP), (1, 0)),  # the owner takes it
        (1, (RIGHT, UP), (1, -2)),  # the other takes it
        (0, (RIGHT, LEFT), (-1, 1)),  # both do
        (1, (RIGHT, LEFT), (1, -1)),
        (0, (UP, UP), (0, 0)),
    ],
)
def test_payoffs(owner, actions, reward):
    env = make("grid/coin_game")
    state, ts = step(env, KEY, state_of([(1, 0), (1, 2)], (1, 1), owner), jnp.array(actions))
    np.testing.assert_array_equal(ts.reward, reward)
    is_taken = any(reward)
    assert (tuple(np.asarray(state.coin_pos)) == (1, 1)) != is_taken
    assert is_taken or int(state.owner) == owner


def test_an_owner_loses_for_each_other_who_takes_it():
    env = make("grid/coin_game", num_agents=4, gain=3.0, loss=0.5)
    state = state_of([(0, 1), (1, 0), (1, 2), (2, 2)], (1, 1), 3)
    np.testing.assert_allclose(step(env, KEY, state, jnp.array([DOWN, RIGHT, LEFT, UP]))[1].reward, [3, 3, 3, -1.5])


def test_the_grid_goes_round():
    env = make("grid/coin_game")
    state, _ = step(env, KEY, state_of([(0, 0), (2, 2)], (1, 1), 0), jnp.array([UP, RIGHT]))
    np.testing.assert_array_equal(state.agent_pos, [(2, 0), (2, 0)])


def test_agents_see_themselves_and_their_own_colour_first():
    env = make("grid/coin_game")
    ts = env.observe(state_of([(0, 1), (2, 2)], (1, 0), 1))
    planes = np.zeros((2, 4, 9))
    planes[0, [0, 1, 3], [1, 8, 3]] = 1
    planes[1, [0, 1, 2], [8, 1, 3]] = 1
    np.testing.assert_array_equal(ts.obs, planes.reshape(2, 36))
    np.testing.assert_array_equal(ts.state, ts.obs[0])


def test_a_third_agent_sees_the_others_in_order_round():
    env = make("grid/coin_game", num_agents=3, size=2)
    obs = np.asarray(env.observe(state_of([(0, 0), (0, 1), (1, 0)], (1, 1), 0)).obs).reshape(3, 6, 4)
    np.testing.assert_array_equal(obs[2, :3].argmax(-1), [2, 0, 1])
    np.testing.assert_array_equal(obs[2, 3:].sum(-1), [0, 1, 0])


def test_episodes_are_truncated_at_the_horizon():
    env = make("grid/coin_game", horizon=3)
    state, ends = env.reset(KEY)[0], []
    for time in range(3):
        state, ts = step(env, jax.random.fold_in(KEY, time), state, jnp.array([UP, LEFT]))
        ends.append((bool(ts.truncated), bool(ts.terminated.any())))
    assert ends == [(False, False), (False, False), (True, False)]


def naive_step(pos, coin, owner, actions, size):
    """The rules in plain Python: (positions, rewards, whether the coin is taken)."""
    pos = [tuple((np.array(here) + MOVES[action]) % size) for here, action in zip(pos, actions, strict=True)]
    reward = [0.0] * len(pos)
    for i, here in enumerate(pos):
        if here == coin:
            reward[i] += 1.0
            reward[owner] -= 2.0 if i != owner else 0.0
    return pos, reward, coin in pos


@pytest.mark.parametrize(("num_agents", "size"), [(2, 3), (4, 3), (1, 2), (5, 5)])
def test_random_episodes_are_those_of_a_naive_simulator(num_agents, size):
    episodes, length = 40, 30
    env = make("grid/coin_game", num_agents=num_agents, size=size)
    actions = random_action(KEY, env.spec, episodes * length).reshape(episodes, length, -1)

    def episode(key, actions):
        def play(state, now):
            following, ts = env.step(now[0], state, now[1])
            return following, (state, following, ts)

        return jax.lax.scan(play, env.reset(key)[0], (jax.random.split(key, length), actions))[1]

    before, after, ts = jax.device_get(jax.jit(jax.vmap(episode))(jax.random.split(KEY, episodes), actions))
    taken = 0
    for at in np.ndindex(episodes, length):
        pos, coin, owner = (
            [tuple(x) for x in before.agent_pos[at].tolist()],
            tuple(before.coin_pos[at]),
            before.owner[at],
        )
        want, reward, is_taken = naive_step(pos, coin, owner, np.asarray(actions[at]), size)
        assert [tuple(x) for x in after.agent_pos[at].tolist()] == want
        np.testing.assert_array_equal(ts.reward[at], reward)
        fresh = tuple(after.coin_pos[at])
        assert fresh not in want if is_taken else (fresh, after.owner[at]) == (coin, owner)
        taken += is_taken
    assert taken > episodes


@pytest.mark.parametrize("pos", [[(0, 0), (1, 1), (1, 1)], [(2, 2), (0, 1), (1, 0)]])
def test_new_coins_are_uniform_over_free_cells_and_colours(pos):
    env = make("grid/coin_game", num_agents=3)
    # Everybody walks down into these cells, and the first onto the coin.
    before = [((row - 1) % 3, column) for row, column in pos]
    state = state_of(before, pos[0], 0)
    states = jax.jit(jax.vmap(lambda key: env.step(key, state, jnp.full(3, DOWN))[0]))(jax.random.split(KEY, 9000))
    cells = np.asarray(states.coin_pos) @ [3, 1]
    counts = np.zeros((9, 3))
    np.add.at(counts, (cells, np.asarray(states.owner)), 1)
    free = [cell for cell in range(9) if divmod(cell, 3) not in pos]
    assert counts.sum() == counts[free].sum()
    np.testing.assert_allclose(counts[free] / 9000, 1 / (3 * len(free)), atol=0.01)


def walking(env, state, cooperates):
    """Return each agent's action: straight to the coin, or round another's if the agent cooperates."""
    apart = (state.coin_pos - state.agent_pos + env.size // 2) % env.size - env.size // 2
    row, column = apart[:, 0], apart[:, 1]
    straight = jnp.where(row < 0, UP, jnp.where(row > 0, DOWN, jnp.where(column < 0, LEFT, RIGHT)))
    lands = ((state.agent_pos[:, None] + jnp.array(MOVES) - state.coin_pos) % env.size == 0).all(-1)
    is_owner = jnp.arange(env.num_agents) == state.owner
    return jnp.where(is_owner | ~jnp.array(cooperates), straight, jnp.argmin(lands, axis=1)).astype(jnp.int32)


@pytest.mark.parametrize(
    ("cooperates", "expected"),
    [((False, False), (0.0, 0.0)), ((True, True), (50.0, 50.0)), ((False, True), (95.3, -42.3))],
)
def test_returns_of_walkers_are_those_of_the_text(cooperates, expected):
    env = make("grid/coin_game")

    def episode(key):
        state, _ = env.reset(key)

        def play(state, key):
            state, ts = env.step(key, state, walking(env, state, cooperates))
            return state, ts.reward

        return jax.lax.scan(play, state, jax.random.split(key, env.horizon))[1].sum(0)

    returns = np.asarray(jax.jit(jax.vmap(episode))(jax.random.split(KEY, 2000)))
    np.testing.assert_allclose(returns.mean(0), expected, atol=1.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"num_agents": 9},
            "num_agents=9 is not allowed: the 9 cells of this 3x3 grid must hold every agent and a coin",
        ),
        ({"size": 1}, "size=1 is not allowed"),
        ({"loss": float("inf")}, "loss=inf is not allowed"),
    ],
)
def test_games_that_cannot_be_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        make("grid/coin_game", **settings)
