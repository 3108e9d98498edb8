import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.environments.actions import random_action
from jaxmarl_lite.environments.grid.navigation import Navigation

UP, DOWN, LEFT, RIGHT, STAY = range(5)
MOVES = {UP: (-1, 0), DOWN: (1, 0), LEFT: (0, -1), RIGHT: (0, 1), STAY: (0, 0)}


@jax.jit
def step(env, state, action):
    return env.step(jax.random.key(0), state, action)


def play(env, *actions):
    """Play joint actions; returns the (state, ts) after each."""
    state, _ = env.reset(jax.random.key(0))
    outcomes = []
    for action in actions:
        state, ts = step(env, state, jnp.array(action))
        outcomes.append((state, ts))
    return outcomes


def shared(ts):
    reward = np.asarray(ts.reward)
    assert (reward == reward[0]).all(), "everybody is paid the same"
    return float(reward[0])


def test_default_world_is_that_of_the_docstring():
    env = Navigation()
    state, ts = env.reset(jax.random.key(0))
    np.testing.assert_array_equal(state.agent_pos, [(0, 0), (4, 4)])
    np.testing.assert_array_equal(state.goal_pos, [(4, 0), (0, 4)])
    np.testing.assert_allclose(ts.obs, [[0, 0, 1, 1, 1, 0], [1, 1, 0, 0, 0, 1]])
    np.testing.assert_allclose(ts.state, [0, 0, 1, 1, 1, 0, 0, 1])


def test_first_step_of_the_default_world():
    [(state, ts)] = play(Navigation(), (DOWN, LEFT))
    np.testing.assert_array_equal(state.agent_pos, [(1, 0), (4, 3)])
    np.testing.assert_allclose(ts.obs, [[0.25, 0, 1, 0.75, 1, 0], [1, 0.75, 0.25, 0, 0, 1]])
    assert shared(ts) == pytest.approx(-0.85)
    assert not ts.done


def test_best_return_of_the_default_world_takes_four_steps():
    outcomes = play(Navigation(), *[(DOWN, UP)] * 4)
    rewards = [shared(ts) for _, ts in outcomes]
    assert rewards == pytest.approx([-0.65, -0.45, -0.25, 10.0])
    assert sum(rewards) == pytest.approx(8.65)
    assert [bool(ts.terminated.all()) for _, ts in outcomes] == [False, False, False, True]
    assert not any(ts.truncated for _, ts in outcomes)


@pytest.mark.parametrize("action", [UP, DOWN, LEFT, RIGHT])
def test_agent_on_its_goal_does_not_move_and_pays_nothing_for_trying(action):
    env = Navigation(starts=((0, 0), (4, 4)), goals=((0, 0), (0, 4)))  # the first begins on its goal, in a corner
    [(state, ts)] = play(env, (action, UP))
    np.testing.assert_array_equal(state.agent_pos, [(0, 0), (3, 4)])
    assert shared(ts) == pytest.approx(-0.05 - 0.3)


@pytest.mark.parametrize(
    ("actions", "bumps"), [((UP, UP), 1), ((LEFT, UP), 1), ((UP, RIGHT), 2), ((LEFT, DOWN), 2), ((DOWN, LEFT), 0)]
)
def test_each_move_off_the_grid_costs_half(actions, bumps):
    [(state, ts)] = play(Navigation(), actions)
    distance = np.abs(np.asarray(state.agent_pos) - np.asarray(state.goal_pos)).sum()
    assert shared(ts) == pytest.approx(-0.05 - 0.1 * distance - 0.5 * bumps)
    stayed = (np.asarray(state.agent_pos) == [(0, 0), (4, 4)]).all(1)
    assert stayed.sum() == bumps


def test_walls_stop_agents_and_cost_half():
    env = Navigation(size=3, walls=("...", "#..", "..."), starts=((0, 0), (2, 2)), goals=((2, 0), (0, 2)))
    [(state, ts), (after, _)] = play(env, (DOWN, UP), (RIGHT, UP))
    np.testing.assert_array_equal(state.agent_pos, [(0, 0), (1, 2)])
    assert shared(ts) == pytest.approx(-0.05 - 0.1 * 3 - 0.5)
    np.testing.assert_array_equal(after.agent_pos, [(0, 1), (0, 2)])


def test_colliding_agents_go_back_and_pay_half_once():
    env = Navigation(starts=((2, 1), (2, 3)), goals=((4, 0), (0, 4)))
    [(state, ts)] = play(env, (RIGHT, LEFT))
    np.testing.assert_array_equal(state.agent_pos, [(2, 1), (2, 3)])
    assert shared(ts) == pytest.approx(-0.05 - 0.1 * 6 - 0.5)


def test_agents_behind_one_that_went_back_go_back_too_and_the_cost_is_paid_once():
    # The first stands on its goal; the others queue up behind it and push.
    starts = ((0, 0), (0, 1), (0, 2), (0, 3))
    env = Navigation(num_agents=4, starts=starts, goals=((0, 0), (4, 1), (4, 2), (4, 3)))
    [(state, ts)] = play(env, (STAY, LEFT, LEFT, LEFT))
    np.testing.assert_array_equal(state.agent_pos, starts)
    assert shared(ts) == pytest.approx(-0.05 - 0.1 * 12 - 0.5)


def test_a_queue_moves_on_together():
    env = Navigation(num_agents=3, starts=((0, 1), (0, 2), (0, 3)), goals=((4, 1), (4, 2), (4, 3)))
    [(state, ts)] = play(env, (LEFT, LEFT, LEFT))
    np.testing.assert_array_equal(state.agent_pos, [(0, 0), (0, 1), (0, 2)])
    assert shared(ts) == pytest.approx(-0.05 - 0.1 * 15)


def test_adjacent_agents_may_change_places():
    env = Navigation(starts=((0, 0), (0, 1)), goals=((4, 0), (4, 4)))
    [(state, ts)] = play(env, (RIGHT, LEFT))
    np.testing.assert_array_equal(state.agent_pos, [(0, 1), (0, 0)])
    assert shared(ts) == pytest.approx(-0.05 - 0.1 * (5 + 8))


def test_staying_moves_nowhere_and_costs_nothing():
    assert Navigation(stay=True).spec.action_sizes == (5, 5)
    [(state, ts)] = play(Navigation(stay=True), (STAY, STAY))
    np.testing.assert_array_equal(state.agent_pos, [(0, 0), (4, 4)])
    assert shared(ts) == pytest.approx(-0.05 - 0.8)


@pytest.mark.parametrize("horizon", [1, 5])
def test_episode_is_truncated_at_the_horizon(horizon):
    outcomes = play(Navigation(horizon=horizon), *[(UP, DOWN)] * horizon)
    assert [bool(ts.truncated) for _, ts in outcomes] == [False] * (horizon - 1) + [True]
    assert not any(ts.terminated.any() for _, ts in outcomes)


def test_episode_solved_in_its_last_step_is_terminated_and_not_truncated():
    _, ts = play(Navigation(horizon=4), *[(DOWN, UP)] * 4)[-1]
    assert ts.terminated.all()
    assert not ts.truncated


def naive_step(pos, goals, actions, size, walls):
    """The rules in plain Python: (positions, reward, solved)."""
    wanted, bumps = [], 0
    for here, goal, action in zip(pos, goals, actions, strict=True):
        there = (here[0] + MOVES[action][0], here[1] + MOVES[action][1])
        if here == goal:
            there = here
        elif not (0 <= there[0] < size and 0 <= there[1] < size) or walls[there[0]][there[1]] == "#":
            there, bumps = here, bumps + 1
        wanted.append(there)
    collided = False
    while clash := [i for i, cell in enumerate(wanted) if wanted.count(cell) > 1]:
        collided = True
        for i in clash:
            wanted[i] = pos[i]
    distance = sum(abs(a - b) for here, goal in zip(wanted, goals, strict=True) for a, b in zip(here, goal))  # noqa: B905
    reward = -0.05 - 0.1 * distance - 0.5 * bumps - 0.5 * collided
    return wanted, (10.0 if distance == 0 else reward), distance == 0


WORLDS = [
    {"num_agents": 1, "size": 2},
    {"num_agents": 2, "size": 3, "stay": True},
    {"num_agents": 4, "size": 4, "walls": ("..#.", "....", ".#..", "...."), "stay": True},
    {"num_agents": 6, "size": 4},
]


@pytest.mark.parametrize("world", WORLDS, ids=lambda w: f"{w['num_agents']}on{w['size']}")
def test_random_episodes_are_those_of_a_naive_simulator(world):
    episodes, length = 25, 20
    env = Navigation(random_starts=True, random_goals=True, **world)
    walls = env.walls or ("." * env.size,) * env.size
    starting, acting = jax.random.split(jax.random.key(1))
    actions = random_action(acting, env.spec, episodes * length).reshape(episodes, length, -1)

    @jax.jit
    @jax.vmap
    def episode(key, actions):
        def step(state, action):
            following, ts = env.step(key, state, action)
            return following, (state, following.agent_pos, ts)

        return jax.lax.scan(step, env.reset(key)[0], actions)[1]

    before, after, ts = jax.device_get(episode(jax.random.split(starting, episodes), actions))
    collisions = 0
    for at in np.ndindex(episodes, length):
        pos, goals = ([tuple(cell) for cell in x[at].tolist()] for x in (before.agent_pos, before.goal_pos))
        want, reward, solved = naive_step(pos, goals, np.asarray(actions[at]).tolist(), env.size, walls)
        assert [tuple(cell) for cell in after[at].tolist()] == want
        np.testing.assert_allclose(ts.reward[at], reward, rtol=1e-5)
        assert ts.terminated[at].all() == ts.terminated[at].any() == solved
        assert not ts.truncated[at]
        collisions += want == pos and len(pos) > 2
    assert collisions > 0 or env.num_agents < 3


@pytest.mark.parametrize("num_agents", [2, 5, 8])
def test_random_starts_and_goals_are_free_cells_all_distinct_and_all_possible(num_agents):
    walls = ("#....", ".....", "..#..", ".....", "....#")
    env = Navigation(num_agents=num_agents, random_starts=True, random_goals=True, walls=walls)
    states = jax.jit(jax.vmap(lambda key: env.reset(key)[0]))(jax.random.split(jax.random.key(0), 500))
    places = np.concatenate([states.agent_pos, states.goal_pos], axis=1)
    cells = places[..., 0] * 5 + places[..., 1]
    assert all(len(set(row)) == 2 * num_agents for row in cells.tolist())
    free = {5 * r + c for r in range(5) for c in range(5) if walls[r][c] == "."}
    for i in range(2 * num_agents):
        assert set(cells[:, i].tolist()) == free


@pytest.mark.parametrize("fixed", ["starts", "goals"])
def test_what_is_drawn_avoids_what_is_fixed(fixed):
    drawn = {"starts": "goals", "goals": "starts"}[fixed]
    env = Navigation(size=2, **{fixed: ((0, 0), (0, 1)), f"random_{drawn}": True})
    states = jax.jit(jax.vmap(lambda key: env.reset(key)[0]))(jax.random.split(jax.random.key(0), 50))
    moved = states.goal_pos if drawn == "goals" else states.agent_pos
    assert {tuple(map(tuple, row)) for row in np.asarray(moved).tolist()} == {((1, 0), (1, 1)), ((1, 1), (1, 0))}


def test_walls_can_be_written_as_one_string():
    assert (
        Navigation(walls="...../.###./...../...../.....").walls
        == Navigation(walls=("." * 5, ".###.", *["." * 5] * 3)).walls
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"starts": ((0, 0), (5, 0))}, r"must be 2 different \(row, column\) cells on the grid and not in a wall"),
        ({"starts": ((0, 0), (0, 0))}, "starts=.* must be 2 different"),
        ({"goals": ((0, 0),)}, "goals=.* must be 2 different"),
        ({"goals": 3}, "goals=3 is not allowed"),
        ({"goals": ((0, 1, 2), (1, 1, 1))}, "goals=.* must be 2 different"),
        ({"walls": ("#" + "." * 4, *["." * 5] * 4)}, "starts=.* not in a wall"),
        ({"walls": ("....",) * 5}, "walls=.* must be 5 strings of 5 characters"),
        ({"walls": ("..x..",) * 5}, "'.' for a free cell and '#' for a wall"),
        ({"random_goals": True, "goals": ((0, 1), (1, 1))}, "together with random_goals: give one of them"),
        ({"size": 2, "num_agents": 5}, "num_agents=5 is not allowed round the border of a 2x2 grid: at most 4"),
        (
            {"size": 2, "num_agents": 3, "random_starts": True, "random_goals": True},
            "num_agents=3 is not allowed: the 4 free cells of this 2x2 grid must hold every start and every goal",
        ),
    ],
)
def test_worlds_that_cannot_be_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        Navigation(**settings)
