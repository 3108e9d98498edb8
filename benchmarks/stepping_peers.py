"""The other libraries' particle worlds, stepped under random actions; `peers.py` calls these."""

from collections.abc import Callable
from typing import Any

import numpy as np
from timing import compiled, median_speed

SPREAD = "MPE_simple_spread_v3"


def step_jaxmarl(num_envs: int, num_agents: int, steps: int, repeats: int, *, env_id: str) -> dict:
    """Step one of JaxMARL's particle worlds, with this library's draw of actions, which is cheaper than its own.

    `num_agents` is that of spread; the others have their default sizes. Actions are discrete but in FACMAC's.
    """
    import jax
    import jaxmarl

    from jaxmarl_lite.environments.actions import random_action

    settings = {} if "facmac" in env_id else {"action_type": "Discrete"}
    if env_id == SPREAD:
        settings |= {"num_agents": num_agents, "num_landmarks": num_agents}
    env = jaxmarl.make(env_id, **settings)
    spec = _spec_of_jaxmarl(env)

    def read(obs, weights):
        return sum(obs[agent] @ weights[agent] for agent in env.agents)

    def play(weights, key):
        def step(world, key):
            state, seen = world
            acting, moving = jax.random.split(key)
            actions = random_action(acting, spec, num_envs)
            chosen = {agent: actions[:, i] for i, agent in enumerate(env.agents)}
            keys = jax.random.split(moving, num_envs)
            obs, state, reward, done, _ = jax.vmap(env.step)(keys, state, chosen)
            return (state, seen + read(obs, weights) + sum(reward.values()) + done["__all__"]), None

        starting, playing = jax.random.split(key)
        obs, state = jax.vmap(env.reset)(jax.random.split(starting, num_envs))
        return jax.lax.scan(step, (state, read(obs, weights)), jax.random.split(playing, steps))[0][1]

    key = jax.random.key(0)
    weights = {agent: jax.random.normal(key, (size,)) for agent, size in zip(env.agents, spec.obs_sizes, strict=True)}
    program, seconds = compiled(play, weights, key)
    speed = median_speed(
        lambda repeat: program(weights, jax.random.key(repeat)).block_until_ready(), num_envs * steps, repeats
    )
    return {**speed, "compile_seconds": seconds}


def _spec_of_jaxmarl(env: Any) -> Any:
    """Return what this library must know of one of JaxMARL's environments to draw its actions."""
    import jax

    from jaxmarl_lite.core.spec import Spec

    obs, _ = jax.eval_shape(env.reset, jax.random.key(0))
    spaces = [env.action_spaces[agent] for agent in env.agents]
    is_discrete = hasattr(spaces[0], "n")
    return Spec(
        agents=tuple(env.agents),
        obs_sizes=tuple(obs[agent].shape[0] for agent in env.agents),
        action_sizes=tuple(space.n if is_discrete else space.shape[0] for space in spaces),
        state_size=0,
        horizon=env.max_steps,
        action_kind="discrete" if is_discrete else "continuous",
    )


def step_vmas(num_envs: int, num_agents: int, steps: int, repeats: int) -> dict:
    """Step the spread of VMAS (torch), which resets all of its environments together every 25 steps."""
    import torch
    import vmas

    env = vmas.make_env(
        "simple_spread", num_envs=num_envs, continuous_actions=False, n_agents=num_agents, max_steps=None
    )
    obs = env.reset()
    weights = torch.randn(num_agents, obs[0].shape[-1])

    def play(repeat: int) -> float:
        seen = torch.zeros(num_envs)
        for t in range(steps):
            actions = [torch.randint(0, 5, (num_envs,)) for _ in range(num_agents)]
            obs, rewards, dones, _ = env.step(actions)
            seen = seen + sum(o @ w for o, w in zip(obs, weights, strict=True)) + sum(rewards) + dones
            if t % 25 == 24:
                env.reset()
        return float(seen.sum())

    return median_speed(play, num_envs * steps, repeats)


def step_mpe2(num_envs: int, num_agents: int, steps: int, repeats: int) -> dict:
    """Step one environment of mpe2 (NumPy); it has no batch."""
    from mpe2 import simple_spread_v3

    env = simple_spread_v3.parallel_env(N=num_agents, max_cycles=25)
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    weights = rng.normal(size=env.observation_space(env.possible_agents[0]).shape)

    def play(repeat: int) -> float:
        seen = 0.0
        for _ in range(steps):
            if not env.agents:
                env.reset()
            obs, rewards, *_ = env.step({agent: rng.integers(5) for agent in env.agents})
            seen += sum(float(o @ weights) for o in obs.values()) + sum(rewards.values())
        return seen

    return median_speed(play, steps, repeats)


STEPPERS: dict[str, Callable[..., dict]] = {"jaxmarl": step_jaxmarl, "vmas": step_vmas, "mpe2": step_mpe2}
