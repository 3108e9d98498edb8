"""Random-action stepping of simple_spread: this library and JaxMARL, the same work, in one run.

Both step E instances with uniformly random actions for the same number of steps, compute every observation, reset
episodes where they end, and read what they compute: observations by a product with a weight vector, as a policy's
first layer would, rewards and ends by sums. JaxMARL is given this library's cheaper draw of actions as well as its
own. Repeats alternate, so that a noisy machine disturbs both alike.

On a CPU each program is measured with one thread of XLA and with all, in a process of its own (XLA reads the number
from the variable NPROC): an operation on few numbers costs less than handing half of it to another thread. The last
column compares the best figure of a library with the best of JaxMARL.

    pip install 'jaxmarl-lite[benchmarks]'
    python benchmarks/env_speed.py --num-envs 1 64 1024 4096 --out benchmarks/results/env_speed.json
"""

import argparse
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import jaxmarl

import jaxmarl_lite as jml
from jaxmarl_lite.bench.stepping import random_play
from jaxmarl_lite.environments.actions import random_action
from jaxmarl_lite.training.machine import machine


def jaxmarl_play(env, spec: jml.Spec, num_envs: int, steps: int, own_draw: bool, weights: jax.Array, key: jax.Array):
    """Do with JaxMARL what `random_play` does here."""
    num_agents = spec.num_agents
    per_agent = weights.reshape(num_agents, -1)

    def draw(key):
        if own_draw:
            keys = jax.random.split(key, (num_agents, num_envs))
            return {a: jax.vmap(env.action_space(a).sample)(keys[i]) for i, a in enumerate(env.agents)}
        actions = random_action(key, spec, num_envs)
        return {a: actions[:, i] for i, a in enumerate(env.agents)}

    def step(world, key):
        state, seen = world
        acting, moving = jax.random.split(key)
        keys = jax.random.split(moving, num_envs)
        obs, state, reward, done, _ = jax.vmap(env.step)(keys, state, draw(acting))
        seen = seen + sum(obs[a] @ per_agent[i] for i, a in enumerate(env.agents))
        return (state, seen + sum(reward.values()) + done["__all__"]), None

    starting, playing = jax.random.split(key)
    obs, state = jax.vmap(env.reset)(jax.random.split(starting, num_envs))
    seen = sum(obs[a] @ per_agent[i] for i, a in enumerate(env.agents))
    return jax.lax.scan(step, (state, seen), jax.random.split(playing, steps))[0][1].sum()


def compare(num_agents: int, num_envs: int, steps: int, repeats: int) -> list[dict]:
    """Time the three programs in turn; returns a row for each."""
    venv = jml.vectorize(jml.make("mpe/simple_spread", num_agents=num_agents), num_envs)
    peer = jaxmarl.make("MPE_simple_spread_v3", num_agents=num_agents, num_landmarks=num_agents)
    plays: dict[str, Callable] = {
        "jaxmarl_lite": partial(random_play, venv, steps),
        "jaxmarl": partial(jaxmarl_play, peer, venv.spec, num_envs, steps, True),
        "jaxmarl, our draw": partial(jaxmarl_play, peer, venv.spec, num_envs, steps, False),
    }
    weights = jax.random.normal(jax.random.key(0), (num_agents * venv.spec.obs_shape[0],))
    programs, compile_seconds, speeds = {}, {}, {name: [] for name in plays}
    for name, play in plays.items():
        begin = time.perf_counter()
        programs[name] = jax.jit(play).lower(weights, jax.random.key(0)).compile()
        compile_seconds[name] = time.perf_counter() - begin
        assert jnp.isfinite(programs[name](weights, jax.random.key(0)))
    for repeat in range(repeats):
        for name, program in programs.items():
            begin = time.perf_counter()
            program(weights, jax.random.key(repeat)).block_until_ready()
            speeds[name].append(num_envs * steps / (time.perf_counter() - begin))
    return [
        {
            "library": name,
            "num_agents": num_agents,
            "num_envs": num_envs,
            "threads": os.environ.get("NPROC", "all"),
            "steps": steps,
            "compile_seconds": compile_seconds[name],
            "env_steps_per_second": statistics.median(values),
            "env_steps_per_second_min": min(values),
            "env_steps_per_second_max": max(values),
        }
        for name, values in speeds.items()
    ]


def measure(given: argparse.Namespace) -> dict:
    """Measure all sizes in this process."""
    described = machine()
    described["versions"]["jaxmarl"] = importlib.metadata.version("jaxmarl")
    rows = []
    for num_agents in given.num_agents:
        for num_envs in given.num_envs:
            steps = max(25, given.env_steps // num_envs)
            rows += compare(num_agents, num_envs, steps, given.repeats)
    return {"benchmark": "env_speed", "cores": os.cpu_count(), **described, "rows": rows}


def measure_apart(threads: str) -> dict:
    """Measure in a process with this number of threads."""
    environment = {name: value for name, value in os.environ.items() if name != "NPROC"}
    if threads != "all":
        environment["NPROC"] = threads
    command = [sys.executable, *sys.argv, "--here"]
    return json.loads(
        subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1]
    )


def show(rows: list[dict]) -> None:
    """Print a line for each size and library with its best figure and how it compares."""
    sizes = sorted({(row["num_agents"], row["num_envs"]) for row in rows})
    for size in sizes:
        best: dict[str, dict] = {}
        for row in sorted(rows, key=lambda row: row["env_steps_per_second"]):
            if (row["num_agents"], row["num_envs"]) == size:
                best[row["library"].split(",")[0]] = row
        for library, row in best.items():
            row["times_jaxmarl"] = row["env_steps_per_second"] / best["jaxmarl"]["env_steps_per_second"]
            speed = f"{row['env_steps_per_second']:12,.0f} env steps/s, {row['threads']:>3} thread(s)"
            print(f"{size[0]:3} agents {size[1]:6} envs  {library:13}{speed}  x {row['times_jaxmarl']:.1f}")


def main() -> None:
    """Run the comparison, print its table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-envs", type=int, nargs="+", default=[1, 64, 1024, 4096], help="instances")
    parser.add_argument("--num-agents", type=int, nargs="+", default=[3], help="agents, and as many landmarks")
    parser.add_argument("--env-steps", type=int, default=400_000, help="environment steps of one repeat, about")
    parser.add_argument("--repeats", type=int, default=5, help="timed repeats; the median is reported")
    parser.add_argument("--threads", nargs="+", default=["1", "all"], help="threads of XLA on a CPU")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--here", action="store_true", help="measure in this process and print JSON")
    given = parser.parse_args()
    if given.here:
        print(json.dumps(measure(given)))
        return
    results = [measure_apart(threads) for threads in given.threads]
    result = {**results[0], "rows": [row for each in results for row in each["rows"]]}
    show(result["rows"])
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
