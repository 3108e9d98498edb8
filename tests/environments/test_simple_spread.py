import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.environments.actions import random_action
from jaxmarl_lite.environments.mpe import world
from jaxmarl_lite.environments.mpe.scenario import WorldState
from jaxmarl_lite.environments.mpe.simple_spread import SimpleSpread

KEY = 0


def key():
    return jax.random.key(KEY)


def crowded(num_agents, seed=0, num_landmarks=None):
    """A state in which many agents touch."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(-0.4, 0.4, (2, num_agents, 2)).astype(np.float32)
    landmarks = rng.uniform(-0.4, 0.4, (num_landmarks or num_agents, 2)).astype(np.float32)
    pos, vel = jnp.asarray(places)
    return WorldState(pos, vel, jnp.asarray(landmarks), jnp.zeros((0, 0)), jnp.zeros((), jnp.int32))


def some_action(env, seed=0):
    return random_action(jax.random.key(seed), env.spec, 1)[0]


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize("num_agents", [1, 3])
def test_episode_lasts_25_steps_is_truncated_and_never_terminated(num_agents, continuous):
    env = SimpleSpread(num_agents=num_agents, continuous=continuous)
    actions = random_action(key(), env.spec, 25)
    episode = jax.jit(lambda state: jax.lax.scan(lambda s, a: env.step(key(), s, a), state, actions)[1])
    ts = episode(env.reset(key())[0])
    np.testing.assert_array_equal(ts.truncated, [False] * 24 + [True])
    assert not ts.terminated.any()


def test_observation_is_that_of_the_docstring():
    env = SimpleSpread(num_agents=3, num_landmarks=2)
    state = crowded(3, num_landmarks=2)
    pos, vel, landmarks = (np.asarray(x) for x in state[:3])
    ts = env.observe(state)
    for i in range(3):
        others = [j for j in range(3) if j != i]
        want = [*vel[i], *pos[i], *(landmarks - pos[i]).ravel(), *(pos[others] - pos[i]).ravel(), 0, 0, 0, 0]
        np.testing.assert_allclose(ts.obs[i], want, atol=1e-6)
    np.testing.assert_allclose(ts.state, np.concatenate([pos.ravel(), vel.ravel(), landmarks.ravel()]))


@pytest.mark.parametrize("num_agents", [1, 2, 4, 14])
def test_reward_is_that_of_the_docstring(num_agents):
    env = SimpleSpread(num_agents=num_agents, num_landmarks=3, local_ratio=0.3)
    state, ts = jax.jit(env.step)(key(), crowded(num_agents, num_landmarks=3), some_action(env))
    pos, landmarks = np.asarray(state.agent_pos), np.asarray(state.landmark_pos)
    total = -sum(min(np.hypot(*(p - mark)) for p in pos) for mark in landmarks)
    for i in range(num_agents):
        touching = sum(np.hypot(*(pos[i] - pos[j])) < 0.3 for j in range(num_agents) if j != i)
        np.testing.assert_allclose(ts.reward[i], 0.7 * total - 0.3 * touching, rtol=1e-5)


def test_actions_push_in_their_directions_one_step_later():
    env = SimpleSpread(num_agents=1)
    step = jax.jit(env.step)
    for action, direction in enumerate([(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)]):
        start, _ = env.reset(key())
        pushed, _ = step(key(), start, jnp.array([action]))
        np.testing.assert_array_equal(pushed.agent_pos, start.agent_pos)
        np.testing.assert_allclose(pushed.agent_vel, 0.5 * np.array([direction]))
        moved, _ = step(key(), pushed, jnp.array([0]))
        np.testing.assert_allclose(moved.agent_pos - start.agent_pos, 0.05 * np.array([direction]), atol=1e-6)


@pytest.mark.parametrize("num_agents", [2, 3, 14])
@pytest.mark.parametrize("places", ["agents on one point", "agents on landmarks", "everything on one point"])
def test_coincident_points_give_no_nan_forward_or_in_the_gradient(num_agents, places):
    env = SimpleSpread(num_agents=num_agents)
    state = crowded(num_agents)
    here = jnp.broadcast_to(jnp.array([0.25, -0.5]), (num_agents, 2))
    state = {
        "agents on one point": state._replace(agent_pos=here),
        "agents on landmarks": state._replace(agent_pos=state.landmark_pos),
        "everything on one point": state._replace(agent_pos=here, landmark_pos=here),
    }[places]._replace(agent_vel=jnp.zeros((num_agents, 2)))

    def outcome(pos, vel):
        action = jnp.zeros(num_agents, jnp.int32)
        following, ts = env.step(key(), state._replace(agent_pos=pos, agent_vel=vel), action)
        return ts.reward.sum() + ts.obs.sum() + following.agent_vel.sum()

    value, grads = jax.jit(jax.value_and_grad(outcome, argnums=(0, 1)))(state.agent_pos, state.agent_vel)
    assert np.isfinite(value)
    assert all(np.isfinite(grad).all() for grad in grads)


@pytest.mark.parametrize("num_agents", [1, 2, 3, 6, 7])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("alike", [True, False])
def test_every_disc_meets_every_other_once(num_agents, sign, alike):
    def pair(dx, dy, reach):
        return (reach * dx**3 + dy, dy) if sign < 0 else (dx**2 * dy**2, reach * dy**2)

    pos = crowded(num_agents).agent_pos
    radii = np.full(num_agents, 0.15, np.float32) if alike else np.linspace(0.1, 0.4, num_agents, dtype=np.float32)
    got = world.sum_over_others(pair, pos, radii, sign=sign)
    apart = [pos[i] - pos for i in range(num_agents)]
    want = [[np.delete(term, i).sum() for term in pair(*apart[i].T, radii[i] + radii)] for i in range(num_agents)]
    np.testing.assert_allclose(np.stack(got, axis=1), want, rtol=1e-5, atol=1e-6)


def test_a_batch_gives_what_each_of_it_gives():
    env = SimpleSpread(num_agents=5)
    states = jax.vmap(lambda k: env.reset(k)[0])(jax.random.split(key(), 4))
    actions = jax.random.randint(key(), (4, 5), 0, 5)
    together = jax.jit(jax.vmap(env.step, in_axes=(None, 0, 0)))(key(), states, actions)
    for e in range(4):
        alone = jax.jit(env.step)(key(), jax.tree.map(lambda x, e=e: x[e], states), actions[e])
        jax.tree.map(lambda a, b, e=e: np.testing.assert_allclose(a[e], b, rtol=1e-5, atol=1e-6), together, alone)


@pytest.mark.parametrize("num_agents", [3, 14])
def test_contact_forces_are_those_of_the_formula_and_sum_to_zero(num_agents):
    pos = np.asarray(crowded(num_agents).agent_pos, np.float64) / 2
    want = np.zeros((num_agents, 2))
    for i, j in np.ndindex(num_agents, num_agents):
        if i != j:
            delta = pos[i] - pos[j]
            dist = np.hypot(*delta)
            want[i] += 100.0 * delta / dist * 1e-3 * np.logaddexp(0, -(dist - 0.3) / 1e-3)
    got = 100.0 * world.contacts(jnp.asarray(pos, jnp.float32), np.full(num_agents, 0.15, np.float32))
    assert np.abs(want).max() > 1.0
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(np.sum(got, 0), 0.0, atol=1e-3)


def test_self_collision_costs_everybody_the_same_at_every_step():
    state, action = crowded(4), jnp.array([0, 1, 2, 3])
    (_, without), (_, ts) = (
        jax.jit(SimpleSpread(num_agents=4, local_ratio=0.3, self_collision=old).step)(key(), state, action)
        for old in (False, True)
    )
    np.testing.assert_allclose(ts.reward, without.reward - 0.3, rtol=1e-6)
    np.testing.assert_array_equal(ts.obs, without.obs)


def test_old_dynamics_move_in_the_same_step():
    env = SimpleSpread(num_agents=1, dynamics="openai")
    start, _ = env.reset(key())
    pushed, _ = jax.jit(env.step)(key(), start, jnp.array([2]))
    np.testing.assert_allclose(pushed.agent_vel, [[0.5, 0.0]])
    np.testing.assert_allclose(pushed.agent_pos - start.agent_pos, [[0.05, 0.0]], atol=1e-6)


def test_local_ratio_is_a_leaf_so_that_vmap_over_it_is_domain_randomisation():
    ratios = jnp.linspace(0.0, 1.0, 5)
    many = jax.vmap(lambda ratio: SimpleSpread(local_ratio=ratio))(ratios)
    state, action = crowded(3), jnp.array([0, 1, 2])
    reward = jax.jit(jax.vmap(lambda env: env.step(key(), state, action)[1].reward))(many)
    assert not np.allclose(reward[0], reward[-1])
    blend = (1.0 - ratios[:, None]) * reward[0] + ratios[:, None] * reward[-1]
    np.testing.assert_allclose(reward, blend, rtol=1e-5, atol=1e-6)


def test_another_local_ratio_does_not_recompile():
    traces = []

    @jax.jit
    def step(env, state, action):
        traces.append(env)
        return env.step(key(), state, action)[1].reward

    state, action = crowded(3), jnp.array([0, 1, 2])
    assert not np.allclose(*(step(SimpleSpread(local_ratio=ratio), state, action) for ratio in (0.1, 0.9)))
    assert len(traces) == 1


def test_reset_places_everything_in_the_arena_at_rest_and_by_key():
    env = SimpleSpread(num_agents=3, num_landmarks=4)
    reset = jax.jit(jax.vmap(env.reset))
    states, ts = reset(jax.random.split(key(), 500))
    for places in (states.agent_pos, states.landmark_pos):
        assert np.abs(places).max() <= 1.0
        np.testing.assert_allclose(np.mean(places, (0, 1)), 0.0, atol=0.08)
        np.testing.assert_allclose(np.std(places, (0, 1)), 3**-0.5, atol=0.05)
    np.testing.assert_array_equal(states.agent_vel, 0.0)
    assert not ts.truncated.any()
    again, _ = reset(jax.random.split(key(), 500))
    jax.tree.map(np.testing.assert_array_equal, again, states)
