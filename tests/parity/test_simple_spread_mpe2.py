"""mpe/simple_spread is simple_spread_v3 of mpe2, step by step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.environments.mpe.simple_spread import HORIZON, SimpleSpread, SpreadState

simple_spread_v3 = pytest.importorskip("mpe2.simple_spread_v3")

EPISODES = 100


def draw_actions(rng, num_agents, continuous):
    shape = (EPISODES, HORIZON, num_agents)
    # Pushes of whole episodes bring agents together more often than fresh ones do, so half of them last.
    actions = rng.random((*shape, 5), dtype=np.float32) if continuous else rng.integers(0, 5, shape, dtype=np.int32)
    actions[::2] = actions[::2, :1]
    return actions


def play_reference(actions, num_agents, continuous):
    """Return places [E, 2 A, 2] and observations [E, T + 1, A, O], rewards, terminations, truncations [E, T, A]."""
    env = simple_spread_v3.parallel_env(N=num_agents, max_cycles=HORIZON, continuous_actions=continuous)
    names = env.possible_agents
    rows = []

    def stacked(by_name):
        return np.array([by_name[name] for name in names])

    for episode, plan in enumerate(actions):
        obs, _ = env.reset(seed=episode)
        entities = env.unwrapped.world.agents + env.unwrapped.world.landmarks
        places = np.array([entity.state.p_pos for entity in entities])
        seen, outcomes = [stacked(obs)], []
        for joint in plan:
            obs, *outcome, _ = env.step(dict(zip(names, joint, strict=True)))
            seen.append(stacked(obs))
            outcomes.append([stacked(x) for x in outcome])
        assert not env.agents, "the reference goes on after the horizon"
        rows.append((places, np.array(seen), *map(np.array, zip(*outcomes, strict=True))))
    return tuple(map(np.array, zip(*rows, strict=True)))


def play_ours(env, places, actions):
    num, key = env.num_agents, jax.random.key(0)

    def episode(places, actions):
        state = SpreadState(places[:num], jnp.zeros((num, 2)), places[num:], jnp.zeros((), jnp.int32))
        first = env.observe(state)
        return first.obs, jax.lax.scan(lambda state, action: env.step(key, state, action), state, actions)[1]

    return jax.jit(jax.vmap(episode))(jnp.asarray(places, jnp.float32), actions)


@pytest.mark.parametrize("continuous", [False, True], ids=["discrete", "continuous"])
@pytest.mark.parametrize("num_agents", [2, 3, 5])
def test_random_episodes_are_those_of_mpe2(num_agents, continuous):
    actions = draw_actions(np.random.default_rng(num_agents), num_agents, continuous)
    places, obs, reward, terminated, truncated = play_reference(actions, num_agents, continuous)
    first_obs, ts = play_ours(SimpleSpread(num_agents=num_agents, continuous=continuous), places, actions)

    np.testing.assert_allclose(first_obs, obs[:, 0], rtol=0.0, atol=1e-6)
    np.testing.assert_allclose(ts.obs, obs[:, 1:], rtol=0.0, atol=1e-4)
    np.testing.assert_allclose(ts.reward, reward, rtol=0.0, atol=1e-4)
    np.testing.assert_array_equal(np.broadcast_to(ts.truncated[..., None], truncated.shape), truncated)
    np.testing.assert_array_equal(ts.terminated, terminated)
    neighbour = 4 + 2 * num_agents
    touching = np.linalg.norm(obs[..., neighbour : neighbour + 2], axis=-1) < 0.3
    assert touching.mean() > 0.01, "few agents touched, so contact was hardly compared"
