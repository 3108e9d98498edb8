"""lbf/foraging is ForagingEnv of lbforaging, step by step and exactly."""

import functools

import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.environments.lbf.foraging import Foraging, ForagingState

reference = pytest.importorskip("lbforaging.foraging")


EPISODES = 60
WORLDS = [
    {"rows": 5, "num_agents": 2, "num_foods": 1, "cooperative": True, "horizon": 25},
    {"rows": 6, "num_agents": 4, "num_foods": 3, "sight": 1, "penalty": 0.3},
    {"rows": 8, "columns": 5, "num_agents": 3, "num_foods": 2, "sight": 2, "max_level": 4},
    {"rows": 5, "columns": 9, "num_agents": 7, "num_foods": 4, "sight": 3},
    {"rows": 6, "num_agents": 1, "num_foods": 2, "max_level": 1},
]


def built(env):
    ref = reference.ForagingEnv(
        players=env.num_agents,
        min_player_level=1,
        max_player_level=env.max_level,
        min_food_level=1,
        max_food_level=None,
        field_size=(env.rows, env.columns),
        max_num_food=env.num_foods,
        sight=env.sight,
        max_episode_steps=env.horizon,
        force_coop=env.cooperative,
        penalty=env.penalty,
    )
    # The package's own bounds take rows for columns where a grid is not square; observations are the same.
    ref.observation_space = gym.spaces.Tuple([gym.spaces.Box(-1, 99, ref.observation_space[0].shape)] * env.num_agents)
    return ref


def state_of(ref, num_foods):
    food = np.argwhere(ref.field)
    missing = num_foods - len(food)
    return ForagingState(
        agent_pos=np.array([p.position for p in ref.players], np.int32),
        agent_level=np.array([p.level for p in ref.players], np.int32),
        food_pos=np.pad(food, ((0, missing), (0, 0))).astype(np.int32),
        food_level=np.pad(ref.field[tuple(food.T)], (0, missing)).astype(np.int32),
        food_total=np.int32(ref._food_spawned),
        time=np.int32(0),
    )


def wise_actions(rng, ref):
    """Random actions of which many load or walk towards food, so that food is eaten."""
    actions = rng.integers(0, 6, ref.n_agents)
    for i, player in enumerate(ref.players):
        food = np.argwhere(ref.field)
        if rng.random() < 0.7 and len(food):
            down, right = food[np.abs(food - player.position).sum(1).argmin()] - player.position
            if abs(down) + abs(right) == 1:
                actions[i] = 5
            elif abs(down) > abs(right):
                actions[i] = 2 if down > 0 else 1
            else:
                actions[i] = 4 if right > 0 else 3
    return actions


@functools.cache
def play_reference(index):
    """Return states at reset, and observations, actions, rewards, done of all steps; steps after the end repeat it."""
    env = Foraging(**WORLDS[index])
    ref, rng = built(env), np.random.default_rng(index)
    rows = []
    for episode in range(EPISODES):
        obs, _ = ref.reset(seed=episode)
        start, seen, plan, outcomes, shared = state_of(ref, env.num_foods), [obs], [], [], 0
        while not ref.game_over:
            plan.append(wise_actions(rng, ref))
            obs, reward, done, _, _ = ref.step(plan[-1])
            seen.append(obs)
            outcomes.append((reward, done))
            shared += len({p.position for p in ref.players}) < env.num_agents
        rows.append((start, np.array(seen), np.array(plan), *map(np.array, zip(*outcomes, strict=True)), shared))
    return env, rows


@pytest.mark.parametrize("index", range(len(WORLDS)), ids=lambda i: "-".join(map(str, WORLDS[i].values())))
def test_random_episodes_are_those_of_lbforaging(index):
    env, rows = play_reference(index)
    length = max(len(plan) for _, _, plan, *_ in rows)
    plans = np.array([np.pad(plan, ((0, length - len(plan)), (0, 0))) for _, _, plan, *_ in rows], np.int32)
    starts = jax.tree.map(lambda *x: jnp.asarray(np.stack(x)), *(row[0] for row in rows))

    @jax.jit
    @jax.vmap
    def play(state, plan):
        return env.observe(state).obs, jax.lax.scan(lambda s, a: env.step(jax.random.key(0), s, a), state, plan)[1]

    first, ts = jax.device_get(play(starts, plans))
    emptied = 0
    for e, (_, seen, plan, reward, done, _) in enumerate(rows):
        steps = len(plan)
        np.testing.assert_array_equal(first[e], seen[0])
        np.testing.assert_array_equal(ts.obs[e, :steps], seen[1:])
        # But for the last bit: XLA need not round a division correctly.
        np.testing.assert_array_max_ulp(ts.reward[e, :steps], reward.astype(np.float32), maxulp=1)
        np.testing.assert_array_equal(ts.terminated[e, :steps].all(1) | ts.truncated[e, :steps], done)
        solved = not (ts.obs[e, steps - 1, :, 2] > 0).any() and ts.state[e, steps - 1, -2] == 0
        emptied += ts.terminated[e, steps - 1].all()
        assert not ts.terminated[e, : steps - 1].any()
        assert solved or not ts.terminated[e, steps - 1].all()
    assert emptied > EPISODES // 10, "too few episodes end early to tell"
    assert env.num_agents < 4 or sum(row[-1] for row in rows), "no two agents ever came to share a cell"
