import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.environments.actions import random_legal_action
from jaxmarl_lite.environments.grid.predator_prey import HuntState
from jaxmarl_lite.environments.registry import make

UP, DOWN, LEFT, RIGHT, STAY, CATCH = range(6)
MOVES = [(-1, 0), (1, 0), (0, -1), (0, 1), (0, 0), (0, 0)]
KEY = jax.random.key(0)


@jax.jit
def step(env, state, action, key):
    return env.step(key, state, action)


def state_of(predators, prey, hunting=None):
    hunting = [True] * len(predators) if hunting is None else hunting
    return HuntState(*map(jnp.array, (predators, prey, hunting, [True] * len(prey))), jnp.int32(0))


def world(**settings):
    return make("grid/predator_prey", **{"num_agents": 3, "num_prey": 1, "size": 4, **settings})


# Two predators beside the prey at (1, 1), and one that is not.
AROUND = state_of([(0, 1), (1, 0), (3, 3)], [(1, 1)])


@pytest.mark.parametrize(
    ("actions", "reward", "hunting"),
    [
        ((CATCH, CATCH, STAY), 10.0, (0, 0, 1)),
        ((CATCH, CATCH, CATCH), 10.0, (0, 0, 1)),  # who is not beside it catches nothing
        ((CATCH, STAY, CATCH), -2.0, (1, 1, 1)),
        ((STAY, STAY, STAY), 0.0, (1, 1, 1)),
        ((CATCH, UP, STAY), -2.0, (1, 1, 1)),  # the second has gone before the prey's turn
    ],
)
def test_a_prey_is_caught_by_two_at_once_and_a_lone_attempt_is_punished(actions, reward, hunting):
    state, ts = step(world(), AROUND, jnp.array(actions), KEY)
    np.testing.assert_array_equal(ts.reward, [reward] * 3)
    np.testing.assert_array_equal(state.hunting, hunting)
    np.testing.assert_array_equal(ts.active, hunting)
    assert bool(state.free[0]) != (reward > 0)
    assert ts.terminated.all() == ts.terminated.any() == (reward > 0)


def test_settings_change_payoffs_numbers_and_whether_predators_leave():
    env = world(prize=3.0, penalty=0.5, needed=3, removal=False)
    _, ts = step(env, AROUND, jnp.array([CATCH, CATCH, STAY]), KEY)
    np.testing.assert_array_equal(ts.reward, [-0.5] * 3)
    state, ts = step(env, AROUND._replace(agent_pos=jnp.array([(0, 1), (1, 0), (2, 1)])), jnp.full(3, CATCH), KEY)
    np.testing.assert_array_equal(ts.reward, [3.0] * 3)
    assert np.asarray(state.hunting).all()
    assert np.asarray(ts.terminated).all()


@pytest.mark.parametrize("removal", [True, False])
def test_who_has_caught_one_prey_and_left_does_not_count_for_the_next(removal):
    env = world(num_prey=2, size=3, removal=removal)
    state = state_of([(0, 1), (1, 0), (2, 2)], [(0, 0), (1, 1)])  # two predators stand beside both prey
    state, ts = step(env, state, jnp.array([CATCH, CATCH, STAY]), KEY)
    np.testing.assert_array_equal(state.free, [False, removal])
    np.testing.assert_array_equal(state.hunting, [not removal, not removal, True])
    np.testing.assert_array_equal(ts.reward, [10.0 if removal else 20.0] * 3)
    assert bool(ts.done) != removal


def test_it_ends_when_no_predator_is_left():
    env = world(num_agents=2, num_prey=2)
    _, ts = step(env, state_of([(0, 1), (1, 0)], [(1, 1), (3, 3)]), jnp.array([CATCH, CATCH]), KEY)
    assert np.asarray(ts.terminated).all()
    np.testing.assert_array_equal(ts.active, [0, 0])


@pytest.mark.parametrize(("time", "actions", "ends"), [(8, STAY, (0, 0)), (9, STAY, (0, 1)), (9, CATCH, (1, 0))])
def test_it_is_truncated_at_the_horizon_unless_it_terminates_there(time, actions, ends):
    state = AROUND._replace(time=jnp.int32(time))
    _, ts = step(world(horizon=10), state, jnp.full(3, actions), KEY)
    assert (int(ts.terminated.all()), int(ts.truncated)) == ends


def test_predators_move_in_turn_and_never_onto_anybody():
    env = world(num_agents=4, size=5)
    state = state_of([(0, 0), (0, 1), (2, 3), (4, 4)], [(2, 2)])
    # The first is stopped by the second, which moves on later; the third by the prey; the last by the edge.
    state, _ = step(env, state, jnp.array([RIGHT, RIGHT, LEFT, DOWN]), KEY)
    np.testing.assert_array_equal(state.agent_pos, [(0, 0), (0, 2), (2, 3), (4, 4)])


def test_a_prey_that_cannot_move_stays_and_others_choose_evenly():
    env = world(size=3)
    states = jax.jit(jax.vmap(lambda state, key: env.step(key, state, jnp.full(3, STAY))[0], in_axes=(None, 0)))
    keys = jax.random.split(KEY, 6000)
    shut_in = states(state_of([(0, 1), (1, 0), (2, 2)], [(0, 0)]), keys).prey_pos[:, 0]
    assert (np.asarray(shut_in) == 0).all()
    for prey, open_cells in (((1, 1), [(0, 1), (1, 0), (1, 2), (2, 1)]), ((1, 2), [(0, 2), (1, 1), (2, 2)])):
        state = state_of([(0, 0), (2, 0), (0, 1) if prey == (1, 2) else (2, 2)], [prey])
        counts = {tuple(cell): 0 for cell in open_cells}
        for cell in np.asarray(states(state, keys).prey_pos[:, 0]).tolist():
            counts[tuple(cell)] += 1
        np.testing.assert_allclose([*counts.values()], 6000 / len(open_cells), rtol=0.1)


def test_predators_see_their_windows_and_may_do_what_the_text_says():
    env = world(sight=1, num_prey=2)
    ts = env.observe(state_of([(0, 0), (1, 1), (2, 2)], [(0, 1), (3, 3)], hunting=[True, True, False]))
    planes = np.zeros((3, 2, 3, 3))
    planes[0, 0, [1, 2], [1, 2]] = 1  # itself in the middle, and the second below on the right
    planes[0, 1, 1, 2] = 1
    planes[1, 0, [0, 1], [0, 1]] = 1
    planes[1, 1, 0, 1] = 1
    np.testing.assert_array_equal(ts.obs, planes.reshape(3, -1))
    np.testing.assert_array_equal(ts.legal, [[0, 1, 0, 1, 1, 1], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 1, 0]])
    third = 1 / 3
    np.testing.assert_allclose(ts.state, [0, 0, 1, third, third, 1, 0, 0, 0, 0, third, 1, 1, 1, 1], rtol=1e-6)


@pytest.mark.parametrize("sight", [2, 3, 5])
def test_windows_of_any_size_are_those_of_a_naive_look(sight):
    env = world(num_agents=5, num_prey=4, size=6, sight=sight)
    state, ts = jax.jit(env.reset)(KEY)
    assert env.spec.obs_sizes == (2 * (2 * sight + 1) ** 2,) * 5
    for i, (row, column) in enumerate(np.asarray(state.agent_pos).tolist()):
        planes = np.zeros((2, 2 * sight + 1, 2 * sight + 1))
        for kind, places in enumerate((state.agent_pos, state.prey_pos)):
            for there in np.asarray(places) - (row, column) + sight:
                if (there >= 0).all() and (there <= 2 * sight).all():
                    planes[kind, there[0], there[1]] = 1
        np.testing.assert_array_equal(ts.obs[i], planes.ravel())


def naive_turns(before, actions, after, size, needed):
    """The rules in plain Python, with the prey's choices as they were: (positions, hunting, free, reward)."""
    predators, prey = [list(map(tuple, x.tolist())) for x in (before.agent_pos, before.prey_pos)]
    hunting, free = before.hunting.tolist(), before.free.tolist()

    def is_open(cell):
        there = [p for p, is_there in zip(predators + prey, hunting + free, strict=True) if is_there]
        return 0 <= cell[0] < size and 0 <= cell[1] < size and cell not in there

    for i, action in enumerate(actions):
        wanted = (predators[i][0] + MOVES[action][0], predators[i][1] + MOVES[action][1])
        if hunting[i] and is_open(wanted):
            predators[i] = wanted
    reward = 0.0
    for q, here in enumerate(list(prey)):
        if not free[q]:
            continue
        beside = [(here[0] + row, here[1] + column) for row, column in MOVES[:4]]
        catching = [i for i, a in enumerate(actions) if hunting[i] and a == CATCH and predators[i] in beside]
        if len(catching) >= needed:
            free[q], reward = False, reward + 10.0
            for i in catching:
                hunting[i] = False
            continue
        reward -= 2.0 if catching else 0.0
        choices = [cell for cell in beside if is_open(cell)] or [here]
        prey[q] = tuple(after.prey_pos[q].tolist())
        assert prey[q] in choices
    return predators, prey, hunting, free, reward


@pytest.mark.parametrize(("num", "prey", "size", "needed"), [(3, 2, 3, 2), (6, 5, 5, 2)])
def test_random_episodes_are_those_of_a_naive_simulator(num, prey, size, needed):
    episodes, length = 40, 25
    env = make("grid/predator_prey", num_agents=num, num_prey=prey, size=size, needed=needed)

    def episode(key):
        def play(world, key):
            state, ts = world
            acting, moving = jax.random.split(key)
            legal = random_legal_action(acting, env.spec, ts.legal)
            action = jnp.where(jax.random.uniform(moving, legal.shape) < 0.8, legal, CATCH)
            following = env.step(moving, state, action)
            return following, (state, action, *following)

        return jax.lax.scan(play, env.reset(key), jax.random.split(key, length))[1]

    before, actions, after, ts = jax.device_get(jax.jit(jax.vmap(episode))(jax.random.split(KEY, episodes)))
    caught = failed = 0
    for at in np.ndindex(episodes, length):
        then, now = (jax.tree.map(lambda x, at=at: x[at], state) for state in (before, after))
        predators, places, hunting, free, reward = naive_turns(then, actions[at].tolist(), now, size, needed)
        assert list(map(tuple, now.agent_pos.tolist())) == predators
        assert [p for p, there in zip(map(tuple, now.prey_pos.tolist()), free, strict=True) if there] == [
            p for p, there in zip(places, free, strict=True) if there
        ]
        assert (now.hunting.tolist(), now.free.tolist()) == (hunting, free)
        np.testing.assert_array_equal(ts.reward[at], [reward] * num)
        assert ts.terminated[at].all() == (not any(free) or not any(hunting))
        caught, failed = caught + (reward > 0), failed + (reward < 0)
    assert caught > 10
    assert failed > 10


def in_pairs(env, key, state, ts):
    """Return what pairs do that walk to the prey nearest to both, three steps in ten at random, and catch together."""
    apart = jnp.abs(state.agent_pos[:, None] - state.prey_pos).sum(-1) + jnp.where(state.free, 0, 1000)
    both = jnp.repeat(apart.reshape(-1, 2, env.num_prey).sum(1), 2, axis=0)
    target = jnp.argmin(both, axis=1)
    row, column = (state.prey_pos[target] - state.agent_pos).T
    vertical, horizontal = jnp.where(row < 0, UP, DOWN), jnp.where(column < 0, LEFT, RIGHT)
    walk = jnp.where(jnp.abs(row) >= jnp.abs(column), vertical, horizontal)
    walk = jnp.where(jnp.take_along_axis(apart, target[:, None], 1)[:, 0] > 1, walk, STAY)
    strays = jax.random.uniform(key, walk.shape) < 0.3
    walk = jnp.where(strays, random_legal_action(key, env.spec, ts.legal.at[:, CATCH].set(False)), walk)
    return jnp.where(both.min(1) == 2, CATCH, walk)


@pytest.mark.parametrize(("by_chance", "expected", "within"), [(True, -93.9, 6.0), (False, 35.8, 1.5)])
def test_returns_are_those_of_the_text(by_chance, expected, within):
    env = make("grid/predator_prey")

    def episode(key):
        def play(world, key):
            state, ts, is_over = world
            acting, moving = jax.random.split(key)
            action = random_legal_action(acting, env.spec, ts.legal) if by_chance else in_pairs(env, acting, state, ts)
            state, ts = env.step(moving, state, action)
            return (state, ts, is_over | ts.done), jnp.where(is_over, 0.0, ts.reward[0])

        world = (*env.reset(key), jnp.zeros((), bool))
        return jax.lax.scan(play, world, jax.random.split(key, env.horizon))[1].sum()

    returns = jax.jit(jax.vmap(episode))(jax.random.split(KEY, 200))
    assert float(returns.mean()) == pytest.approx(expected, abs=within)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 3}, "num_prey=8 is not allowed: the 9 cells of this 3x3 grid must hold them and 8 predators"),
        ({"sight": 0}, "sight=0 is not allowed"),
        ({"penalty": -1.0}, "penalty=-1.0 is not allowed: it must be a finite number of at least 0"),
        ({"removal": 1}, "removal=1 is not allowed: it must be True or False"),
    ],
)
def test_hunts_that_cannot_be_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        make("grid/predator_prey", **settings)
