"""Stepping Jumanji's multi-agent grid worlds under random actions; prints JSON.

    python benchmarks/jumanji_peer.py LevelBasedForaging-v0 --num-envs 4096 --horizon 100 \\
        --generator '{"grid_size": 8, "num_agents": 2, "num_food": 2}'

Observations, rewards and ends are read, and its own wrapper begins episodes anew. Only Jumanji and what it needs have
to be installed, so that it may live in an environment of its own.
"""

import argparse
import importlib
import json
from importlib.metadata import version
from typing import Any

from timing import compiled, median_speed

GENERATORS = {
    "LevelBasedForaging-v0": "jumanji.environments.routing.lbf.generator",
    "RobotWarehouse-v0": "jumanji.environments.routing.robot_warehouse.generator",
}


def step_jumanji(env: Any, num_envs: int, steps: int, repeats: int) -> dict:
    """Step instances of one environment, each of which is reset at its own end."""
    import jax
    import jax.numpy as jnp
    from jumanji.wrappers import AutoResetWrapper, VmapWrapper  # type: ignore[import-not-found]

    num_actions = env.action_spec.num_values
    envs = VmapWrapper(AutoResetWrapper(env))

    def read(timestep, weights):
        obs = timestep.observation.agents_view.reshape(num_envs, -1)
        return obs @ weights + timestep.reward.reshape(num_envs, -1).sum(1) + timestep.last()

    def play(weights, key):
        def step(world, key):
            state, seen = world
            chances = jax.random.uniform(key, (num_envs, len(num_actions)))
            state, timestep = envs.step(state, jnp.floor(chances * num_actions).astype(jnp.int32))
            return (state, seen + read(timestep, weights)), None

        starting, playing = jax.random.split(key)
        state, timestep = envs.reset(jax.random.split(starting, num_envs))
        return jax.lax.scan(step, (state, read(timestep, weights)), jax.random.split(playing, steps))[0][1]

    key = jax.random.PRNGKey(0)
    size = jax.eval_shape(env.reset, key)[1].observation.agents_view.size
    weights = jax.random.normal(key, (size,))
    program, seconds = compiled(play, weights, key)
    speed = median_speed(
        lambda repeat: program(weights, jax.random.PRNGKey(repeat)).block_until_ready(), num_envs * steps, repeats
    )
    return {**speed, "compile_seconds": seconds}


def main() -> None:
    """Measure one environment and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("env", choices=sorted(GENERATORS))
    parser.add_argument("--generator", type=json.loads, required=True, help="settings of its random generator, as JSON")
    parser.add_argument("--horizon", type=int, required=True, help="its time limit")
    parser.add_argument("--num-envs", type=int, default=1)
    parser.add_argument("--env-steps", type=int, default=200_000, help="environment steps of a repeat, about")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    import jumanji  # type: ignore[import-not-found]

    generator = importlib.import_module(GENERATORS[given.env]).RandomGenerator(**given.generator)
    env = jumanji.make(given.env, generator=generator, time_limit=given.horizon)
    steps = max(25, given.env_steps // given.num_envs)
    figures = step_jumanji(env, given.num_envs, steps, given.repeats)
    versions = {name: version(name) for name in ("jumanji", "jax", "jaxlib")}
    print(json.dumps({"library": "jumanji", "num_envs": given.num_envs, "versions": versions, **figures}))


if __name__ == "__main__":
    main()
