"""Random stepping of every family here, over numbers of environments and of agents.

python benchmarks/env_speed.py --out benchmarks/results/env_speed.json
"""

import argparse
from pathlib import Path

from processes import in_turns, ours, write

SPREAD = "mpe/simple_spread"
CASES = [
    *((SPREAD, 3, num_envs) for num_envs in (1, 16, 256, 4096, 65536)),
    *((SPREAD, num_agents, 1024) for num_agents in (5, 10, 20, 50)),
    ("grid/navigation", 2, 4096),
    ("matrix/prisoners_dilemma", None, 4096),
]


def main() -> None:
    """Measure, print a table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="runs of every command")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    given = parser.parse_args()
    rows = []
    for env, num_agents, num_envs in CASES:
        agents = () if num_agents is None else ("--env.num-agents", num_agents)
        command = ours("bench", "env", env, "--num-envs", num_envs, *agents, "--repeats", 5)
        figures = in_turns({env: (command, "all")}, given.rounds)[env]
        rows.append({"env": env, "num_agents": num_agents, "num_envs": num_envs, **figures})
        speed = f"{figures['env_steps_per_second']:14,.0f} env steps/s"
        print(f"{env:26} {num_agents or '':3} agents {num_envs:6} envs {speed}", flush=True)
        write(given.out, "env_speed", rows)


if __name__ == "__main__":
    main()
