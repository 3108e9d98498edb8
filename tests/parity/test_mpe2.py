"""mpe/* are the scenarios of mpe2, step by step, from states injected into ours."""

import importlib
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.environments.mpe.scenario import WorldState
from jaxmarl_lite.environments.registry import make

pytest.importorskip("mpe2")

HORIZON = 25
EPISODES = 12


class Case(NamedTuple):
    """A scenario with the same settings here and there."""

    module: str
    ours: dict[str, Any]
    theirs: dict[str, Any]
    continuous: bool

    def __str__(self):
        kind = "continuous" if self.continuous else "discrete"
        return "-".join([self.module, kind, *(f"{k}={v}" for k, v in self.theirs.items())])


def both_kinds(module, **settings):
    return [Case(module, settings, settings, continuous) for continuous in (False, True)]


def discrete(module, **settings):
    return both_kinds(module, **settings)[0]


def continuous(module, **settings):
    return both_kinds(module, **settings)[1]


CASES = [
    *both_kinds("simple_v3"),
    *both_kinds("simple_spread_v3"),
    Case("simple_spread_v3", {"num_agents": 2}, {"N": 2}, continuous=True),
    Case("simple_spread_v3", {"num_agents": 5, "local_ratio": 0.3}, {"N": 5, "local_ratio": 0.3}, continuous=False),
    *both_kinds("simple_tag_v3"),
    discrete("simple_tag_v3", num_good=2, num_adversaries=4, num_obstacles=3),
    continuous("simple_tag_v3", num_good=3, num_adversaries=1, num_obstacles=0),
    *both_kinds("simple_adversary_v3"),
    Case("simple_adversary_v3", {"num_good": 4}, {"N": 4}, continuous=False),
    *both_kinds("simple_push_v3"),
    *both_kinds("simple_reference_v3", local_ratio=0.2),
    *both_kinds("simple_speaker_listener_v4"),
    *both_kinds("simple_crypto_v3"),
    *both_kinds("simple_world_comm_v3"),
    discrete("simple_world_comm_v3", num_good=3, num_adversaries=2, num_obstacles=2, num_food=1, num_forests=3),
    continuous("simple_world_comm_v3", num_good=1, num_adversaries=1, num_obstacles=0, num_food=3, num_forests=0),
]


def goals_of(world):
    """Return the goal and key of an episode of the reference as ours has them."""
    number = {id(mark): i for i, mark in enumerate(world.landmarks)}
    told = [number[id(a._goal_b)] for a in world.agents if getattr(a, "_goal_b", None) is not None]
    aims = [number[id(a._goal_a)] for a in world.agents if id(getattr(a, "_goal_a", None)) in number]
    if told:
        return {"goal": np.array(told if len(told) > 1 else told[0])}
    keys = [int(np.argmax(a.key)) for a in world.agents if getattr(a, "_key", None) is not None]
    return {"goal": np.array(aims[0])} | ({"key": np.array(keys[0])} if keys else {}) if aims else {}


def gaps(world):
    """Return the gaps between agents and all that they bump into; negative where they overlap."""
    solid = [entity for entity in world.entities if entity.collide]
    pairs = [(a, b) for a, b in itertools.combinations(solid, 2) if a.movable or b.movable]
    return [np.linalg.norm(a.state.p_pos - b.state.p_pos) - a.size - b.size for a, b in pairs]


def bump_into_one_another(first, second):
    reach = first.size + second.size
    second.state.p_pos = first.state.p_pos + np.array([0.6, 0.7]) * reach


def draw_actions(rng, spec):
    """Return actions [E, T, A] or [E, T, A, D]; those of every other episode last, so that agents meet more often."""
    shape = (EPISODES, HORIZON, spec.num_agents)
    if spec.is_discrete:
        actions = rng.integers(0, spec.action_sizes, shape, dtype=np.int32)
    else:
        actions = rng.random((*shape, spec.num_actions), dtype=np.float32)
    actions[::2] = actions[::2, :1]
    return actions


def play_reference(env, spec, actions):
    """Return the starts, and for each episode gaps, observations [T + 1, A, O] (padded) and outcomes [T, A]."""
    names = env.possible_agents
    assert tuple(names) == spec.agents

    def padded(by_name):
        return np.array([np.pad(by_name[name], (0, spec.obs_shape[0] - len(by_name[name]))) for name in names])

    def legal(agent, action):
        return int(action) if spec.is_discrete else action[: spec.action_sizes[agent]]

    rows = []
    for episode, plan in enumerate(actions):
        env.reset(seed=episode)
        world = env.unwrapped.world
        if episode % 3 == 0 and len(names) > 1:
            bump_into_one_another(*world.agents[:2])
        places = [np.array([e.state.p_pos for e in kind]) for kind in (world.agents, world.landmarks)]
        seen, outcomes, nearest = [padded({name: env.unwrapped.observe(name) for name in names})], [], []
        for joint in plan:
            obs, *outcome, _ = env.step({name: legal(i, joint[i]) for i, name in enumerate(names)})
            seen.append(padded(obs))
            outcomes.append([np.array([x[name] for name in names]) for x in outcome])
            nearest += gaps(world)
        assert not env.agents, "the reference goes on after the horizon"
        start = {"places": places} | goals_of(world)
        rows.append((start, np.array(nearest), np.array(seen), *map(np.array, zip(*outcomes, strict=True))))
    starts, *played = zip(*rows, strict=True)
    return starts, [np.array(x) for x in played]


def play_ours(env, starts, actions):
    """Return the first observations and the steps that follow from the same starts and actions."""
    fresh = env.reset(jax.random.key(0))[0]

    def begin(start):
        agents, landmarks = (jnp.asarray(x, jnp.float32).reshape(-1, 2) for x in start["places"])
        drawn = {name: jnp.asarray(start[name], jnp.int32) for name in ("goal", "key") if name in start}
        return WorldState(agents, jnp.zeros_like(agents), landmarks, fresh.comm, fresh.time, **drawn)

    def episode(state, actions):
        step = jax.lax.scan(lambda state, action: env.step(jax.random.key(0), state, action), state, actions)[1]
        return env.observe(state).obs, step

    states = jax.tree.map(lambda *x: jnp.stack(x), *map(begin, starts))
    return jax.jit(jax.vmap(episode))(states, actions)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_random_episodes_are_those_of_mpe2(case):
    module = importlib.import_module(f"mpe2.{case.module}")
    env = make(f"mpe/{case.module.rpartition('_')[0]}", continuous=case.continuous, **case.ours)
    reference = module.parallel_env(max_cycles=HORIZON, continuous_actions=case.continuous, **case.theirs)
    spec = env.spec
    sizes = [reference.observation_space(name).shape[0] for name in reference.possible_agents]
    spaces = [reference.action_space(name) for name in reference.possible_agents]
    assert spec.obs_sizes == tuple(sizes)
    assert spec.action_sizes == tuple(space.shape[0] if case.continuous else space.n for space in spaces)

    actions = draw_actions(np.random.default_rng(0), spec)
    starts, (apart, obs, reward, terminated, truncated) = play_reference(reference, spec, actions)
    first, ts = play_ours(env, starts, actions)
    np.testing.assert_allclose(first, obs[:, 0], rtol=0.0, atol=1e-6)
    np.testing.assert_allclose(ts.obs, obs[:, 1:], rtol=0.0, atol=1e-4)
    np.testing.assert_allclose(ts.reward, reward, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(np.broadcast_to(ts.truncated[..., None], truncated.shape), truncated)
    np.testing.assert_array_equal(ts.terminated, terminated)
    assert not env.collides or (apart < 0.0).any(), "nobody touched, so contact was not compared"


def velocity_first(world, forces):
    """Integrate as the package of 2017 did: velocities, then positions."""
    for entity, force in zip(world.entities, forces, strict=True):
        if entity.movable:
            vel = entity.state.p_vel * (1 - world.damping) + (0.0 if force is None else force) * world.dt
            speed = np.linalg.norm(vel)
            if entity.max_speed is not None and speed > entity.max_speed:
                vel = vel / speed * entity.max_speed
            entity.state.p_vel, entity.state.p_pos = vel, entity.state.p_pos + vel * world.dt


@pytest.mark.parametrize("name", ["simple_spread", "simple_tag"])
def test_old_dynamics_are_mpe2_with_velocities_first(name, monkeypatch):
    monkeypatch.setattr("mpe2._mpe_utils.core.World.integrate_state", velocity_first)
    env = make(f"mpe/{name}", dynamics="openai")
    actions = draw_actions(np.random.default_rng(1), env.spec)
    reference = importlib.import_module(f"mpe2.{name}_v3").parallel_env(max_cycles=HORIZON)
    starts, (_, obs, reward, *_) = play_reference(reference, env.spec, actions)
    ts = play_ours(env, starts, actions)[1]
    np.testing.assert_allclose(ts.obs, obs[:, 1:], rtol=0.0, atol=1e-4)
    np.testing.assert_allclose(ts.reward, reward, rtol=1e-5, atol=1e-4)
