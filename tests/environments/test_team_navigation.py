import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.environments.grid.team_navigation import FOUR_ROOMS, CoverState
from jaxmarl_lite.environments.registry import make

UP, DOWN, LEFT, RIGHT, STAY = range(5)
KEY = jax.random.key(0)


@jax.jit
def step(env, state, action):
    return env.step(KEY, state, action)


def state_of(agents, goals, time=0):
    return CoverState(jnp.array(agents), jnp.array(goals), jnp.int32(time))


def rooms(**settings):
    return make("grid/team_navigation", **{"num_agents": 2, **settings})


@pytest.mark.parametrize("goals", [[(0, 1), (6, 5)], [(6, 5), (0, 1)]])
def test_it_does_not_matter_who_stands_on_which_goal(goals):
    state, ts = step(rooms(), state_of([(0, 0), (6, 6)], goals), jnp.array([RIGHT, LEFT]))
    np.testing.assert_array_equal(state.agent_pos, [(0, 1), (6, 5)])
    np.testing.assert_array_equal(ts.reward, [10.0, 10.0])
    assert np.asarray(ts.terminated).all()
    assert not ts.truncated


def test_the_reward_counts_each_goals_distance_to_the_nearest_agent():
    # Both goals are nearest to the first agent, 2 and 3 cells away; the other is far off.
    state = state_of([(1, 1), (6, 6)], [(0, 0), (1, 4)])
    _, ts = step(rooms(), state, jnp.array([STAY, STAY]))
    np.testing.assert_allclose(ts.reward, [-0.05 - 0.1 * 5] * 2, rtol=1e-6)
    assert not ts.done


@pytest.mark.parametrize(
    ("agents", "actions", "after", "bumps"),
    [
        ([(0, 2), (6, 6)], (RIGHT, STAY), [(0, 2), (6, 6)], 1),  # a wall
        ([(0, 2), (6, 6)], (UP, DOWN), [(0, 2), (6, 6)], 2),  # off the grid
        ([(1, 2), (6, 6)], (RIGHT, UP), [(1, 3), (5, 6)], 0),  # through a door
        ([(1, 2), (1, 4)], (RIGHT, LEFT), [(1, 2), (1, 4)], 1),  # both into it
        ([(1, 2), (1, 3)], (RIGHT, STAY), [(1, 2), (1, 3)], 1),
        ([(1, 2), (1, 3)], (RIGHT, LEFT), [(1, 3), (1, 2)], 0),  # changing places
    ],
)
def test_moves_and_bumps_are_those_of_navigation(agents, actions, after, bumps):
    goals = [(6, 0), (6, 1)]
    state, ts = step(rooms(), state_of(agents, goals), jnp.array(actions))
    np.testing.assert_array_equal(state.agent_pos, after)
    distance = sum(min(abs(g[0] - a[0]) + abs(g[1] - a[1]) for a in after) for g in goals)
    np.testing.assert_allclose(ts.reward, -0.05 - 0.1 * distance - 0.5 * bumps, rtol=1e-6)


def test_agents_on_goals_may_leave_them():
    state, _ = step(rooms(), state_of([(0, 0), (6, 6)], [(0, 0), (0, 1)]), jnp.array([RIGHT, STAY]))
    np.testing.assert_array_equal(state.agent_pos, [(0, 1), (6, 6)])


@pytest.mark.parametrize(("action", "ends"), [(LEFT, (False, True)), (RIGHT, (True, False))])
def test_it_is_truncated_at_the_horizon_unless_it_is_solved_there(action, ends):
    state = state_of([(0, 0), (6, 5)], [(0, 0), (6, 6)], time=99)
    _, ts = step(rooms(), state, jnp.array([STAY, action]))
    assert (bool(ts.terminated.all()), bool(ts.truncated)) == ends


@pytest.mark.parametrize("sight", [1, 2, 4])
def test_agents_see_agents_goals_and_walls_around_them(sight):
    env = rooms(num_agents=3, sight=sight)
    state, ts = jax.jit(env.reset)(jax.random.key(sight))
    assert env.spec.obs_sizes == (2 + 3 * (2 * sight + 1) ** 2,) * 3
    planes = np.zeros((3, 7 + 2 * sight, 7 + 2 * sight))
    planes[2] = np.pad([[cell == "#" for cell in row] for row in FOUR_ROOMS], sight, constant_values=True)
    for kind, places in enumerate((state.agent_pos, state.goal_pos)):
        planes[kind, *(np.asarray(places).T + sight)] = 1
    for i, (row, column) in enumerate(np.asarray(state.agent_pos).tolist()):
        window = planes[:, row : row + 2 * sight + 1, column : column + 2 * sight + 1]
        np.testing.assert_allclose(ts.obs[i], [row / 6, column / 6, *window.ravel()], rtol=1e-6)
    places = np.concatenate([state.agent_pos, state.goal_pos])
    np.testing.assert_allclose(ts.state, places.ravel() / 6, rtol=1e-6)
    assert len({tuple(place) for place in places.tolist()}) == 6
    assert all(FOUR_ROOMS[row][column] == "." for row, column in places.tolist())


def test_random_play_gets_what_the_text_says():
    env = make("grid/team_navigation")

    def episode(key):
        def play(world, key):
            state, is_over = world
            state, ts = env.step(key, state, jax.random.randint(key, (3,), 0, 5))
            return (state, is_over | ts.done), jnp.where(is_over, 0.0, ts.reward[0])

        world = (env.reset(key)[0], jnp.zeros((), bool))
        return jax.lax.scan(play, world, jax.random.split(key, env.horizon))[1].sum()

    returns = jax.jit(jax.vmap(episode))(jax.random.split(KEY, 1000))
    assert float(returns.mean()) == pytest.approx(-124.9, abs=3.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 5}, "walls=.* must be 5 strings of 5 characters"),
        ({"size": 2, "walls": None, "num_agents": 3}, "num_agents=3 is not allowed: the 4 free cells of this 2x2 grid"),
        ({"sight": 0}, "sight=0 is not allowed"),
    ],
)
def test_worlds_that_cannot_be_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        make("grid/team_navigation", **settings)
