"""The other libraries at the same work; each call measures one and prints JSON.

    python benchmarks/peers.py step jaxmarl --num-envs 1024 --num-agents 3
    python benchmarks/peers.py step vmas --num-envs 1024
    python benchmarks/peers.py step mpe2
    python benchmarks/peers.py train jaxmarl --num-envs 16 --checkout PATH

Stepping: random actions, observations, rewards and resets computed and read. Training: JaxMARL's own feed-forward IPPO
script, taken from a checkout of its repository, which its package does not contain; its command line and tracker are
not needed and stand empty.
"""

import argparse
import json
import statistics
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def median_speed(run: Callable[[int], Any], steps: int, repeats: int) -> dict:
    """Time `run(repeat)`, which takes `steps` environment steps, after one call that is not timed."""
    run(0)
    speeds = []
    for repeat in range(repeats):
        begin = time.perf_counter()
        run(repeat)
        speeds.append(steps / (time.perf_counter() - begin))
    return {"env_steps_per_second": statistics.median(speeds)}


def compiled(function: Callable[..., Any], *args: Any) -> tuple[Any, float]:
    """Return the jitted function compiled for its arguments, and how long that took."""
    import jax

    begin = time.perf_counter()
    program = jax.jit(function).lower(*args).compile()
    return program, time.perf_counter() - begin


def step_jaxmarl(num_envs: int, num_agents: int, steps: int, repeats: int) -> dict:
    """Step JaxMARL's spread, with this library's draw of actions, which is cheaper than its own."""
    import jax
    import jaxmarl

    from jaxmarl_lite.environments.actions import random_action
    from jaxmarl_lite.environments.registry import make

    env = jaxmarl.make("MPE_simple_spread_v3", num_agents=num_agents, num_landmarks=num_agents)
    spec = make("mpe/simple_spread", num_agents=num_agents).spec

    def read(obs, weights):
        return sum(obs[agent] @ weights[i] for i, agent in enumerate(env.agents))

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

    weights = jax.random.normal(jax.random.key(0), (num_agents, spec.obs_shape[0]))
    program, seconds = compiled(play, weights, jax.random.key(0))
    speed = median_speed(
        lambda repeat: program(weights, jax.random.key(repeat)).block_until_ready(), num_envs * steps, repeats
    )
    return {**speed, "compile_seconds": seconds}


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


# The settings of its configuration file for MPE, which are those that train_speed.py gives this library.
JAXMARL_IPPO = {
    "LR": 2.5e-4, "NUM_STEPS": 128, "UPDATE_EPOCHS": 4, "NUM_MINIBATCHES": 4, "GAMMA": 0.99, "GAE_LAMBDA": 0.95,
    "CLIP_EPS": 0.2, "ENT_COEF": 0.01, "VF_COEF": 0.5, "MAX_GRAD_NORM": 0.5, "ACTIVATION": "tanh",
    "ENV_NAME": "MPE_simple_spread_v3", "ENV_KWARGS": {}, "ANNEAL_LR": True,
}  # fmt: skip


def train_jaxmarl(num_envs: int, steps: int, repeats: int, checkout: Path) -> dict:
    """Train by JaxMARL's own feed-forward IPPO; `steps` environment steps, rounded to updates."""
    import jax

    for name in ("hydra", "omegaconf", "wandb"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["hydra"].main = lambda **_: lambda function: function  # type: ignore[attr-defined]
    sys.modules["omegaconf"].OmegaConf = None  # type: ignore[attr-defined]
    sys.modules["wandb"].log = lambda metrics: None  # type: ignore[attr-defined]
    sys.path.insert(0, str(checkout / "baselines" / "IPPO"))
    import ippo_ff_mpe  # type: ignore[import-not-found]

    per_update = num_envs * JAXMARL_IPPO["NUM_STEPS"]
    total = max(2, steps // per_update) * per_update
    settings = {**JAXMARL_IPPO, "NUM_ENVS": num_envs, "TOTAL_TIMESTEPS": total}
    program, seconds = compiled(ippo_ff_mpe.make_train(settings), jax.random.key(0))
    returns = program(jax.random.key(0))["metrics"]["returned_episode_returns"]
    assert np.isfinite(np.asarray(returns)).all()
    speed = median_speed(lambda repeat: jax.block_until_ready(program(jax.random.key(repeat))), total, repeats)
    return {**speed, "compile_seconds": seconds}


STEPPERS = {"jaxmarl": step_jaxmarl, "vmas": step_vmas, "mpe2": step_mpe2}


def main() -> None:
    """Measure one library and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=["step", "train"])
    parser.add_argument("library", choices=sorted(STEPPERS))
    parser.add_argument("--num-envs", type=int, default=1)
    parser.add_argument("--num-agents", type=int, default=3)
    parser.add_argument("--env-steps", type=int, default=200_000, help="environment steps of a repeat, about")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--checkout", type=Path, help="of JaxMARL's repository")
    given = parser.parse_args()
    if given.work == "train":
        if given.library != "jaxmarl" or given.checkout is None:
            parser.error("train measures jaxmarl, and needs --checkout PATH of its repository")
        figures = train_jaxmarl(given.num_envs, given.env_steps, given.repeats, given.checkout)
    else:
        steps = max(25, given.env_steps // given.num_envs)
        figures = STEPPERS[given.library](given.num_envs, given.num_agents, steps, given.repeats)
    print(json.dumps({"library": given.library, "num_envs": given.num_envs, **figures}))


if __name__ == "__main__":
    main()
