"""Stepping simple_spread here and in jaxmarl, vmas and mpe2: the same work, in turns, in one run.

Everything is measured in processes of their own. This library is started as a user would start it; JaxMARL gets one
XLA thread and all of them, and its better figure counts; VMAS uses torch's own choice of threads.

    pip install 'jaxmarl-lite[benchmarks]'
    python benchmarks/versus.py --out benchmarks/results/versus.json
"""

import argparse
import importlib.util
from pathlib import Path

from processes import OURS, beside_peers, in_turns, ours, peer, write

CASES = [(3, 1), (3, 64), (3, 1024), (3, 4096), (5, 1024), (10, 1024), (20, 1024)]


def commands_of(num_agents: int, num_envs: int, env_steps: int) -> dict:
    """Return what is run for one size, by name."""
    sizes = ("--num-envs", num_envs, "--num-agents", num_agents, "--env-steps", env_steps)
    here = ("bench", "env", "mpe/simple_spread", "--num-envs", num_envs, "--env.num-agents", num_agents)
    # A repeat is of a second or so, here as there.
    steps = max(25, env_steps * 10 // num_envs if num_agents <= 5 else env_steps // num_envs)
    commands = {
        OURS: (ours(*here, "--steps", steps, "--repeats", 3), "all"),
        "jaxmarl, 1 thread": (peer("step", "jaxmarl", *sizes), "1"),
        "jaxmarl, all threads": (peer("step", "jaxmarl", *sizes), "all"),
    }
    if num_agents == 3 and num_envs in (1024, 4096) and importlib.util.find_spec("vmas"):
        commands["vmas"] = (peer("step", "vmas", *sizes), "all")
    if num_agents == 3 and num_envs == 1 and importlib.util.find_spec("mpe2"):
        commands["mpe2"] = (peer("step", "mpe2", "--env-steps", 5_000), "all")
    return commands


def main() -> None:
    """Run the comparison, print its table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="runs of every command")
    parser.add_argument("--env-steps", type=int, default=200_000, help="environment steps of a peer's repeat, about")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    given = parser.parse_args()
    rows = []
    for num_agents, num_envs in CASES:
        figures = in_turns(commands_of(num_agents, num_envs, given.env_steps), given.rounds)
        rows += beside_peers(figures, num_agents=num_agents, num_envs=num_envs)
        write(given.out, "versus", rows)


if __name__ == "__main__":
    main()
