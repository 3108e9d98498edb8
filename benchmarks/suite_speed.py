"""Stepping the worlds that others have too, 4,096 instances each: the particle suite of JaxMARL, and Jumanji's
level-based foraging and warehouse; the same work, in turns, in one run.

    pip install 'jaxmarl-lite[benchmarks]'
    python benchmarks/suite_speed.py --out benchmarks/results/suite_speed.json

All actions are random, observations, rewards and ends are read, and every episode begins anew at its end. This library
is started as a user would start it; each peer gets one XLA thread and all of them, and its better figure counts.
Observations are read in the order that the networks of each library have them: columns here, rows there. Sizes, agents
and horizons are the same. Of what worlds do, this differs:

- mpe/predator_prey: prey in JaxMARL choose among 100 random points where to flee, here they flee straight away.
- rware/warehouse: in Jumanji an episode ends when robots collide, here as in the package rware they stand still.
- lbf/foraging: of cooperative foraging under random play hardly an episode ends before its limit, so all instances
  begin anew together, which is cheap here; without cooperation they do not.
- JaxMARL's episodes take 26 steps and not 25. Peers begin an episode anew on every step and select, so that repeats
  shorter than an episode of theirs are as good as longer ones; repeats here are of whole episodes.

Jumanji 1.1 asks for jax>=0.4.27 and runs with the same jax as this library, from the same environment; to have it in
one of its own, name that one's Python: `--jumanji-python PATH`. `--only lbf rware` measures a part.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import NamedTuple

from processes import OURS, Command, beside_peers, in_turns, ours, peer, write

NUM_ENVS = 4096
_AISLES = {"shelf_columns": 3, "column_height": 8, "sensor_range": 1}


class Case(NamedTuple):
    """A world here and there."""

    env: str
    settings: tuple[object, ...]
    """options of the environment here"""
    there: str
    """its name there"""
    horizon: int = 25
    generator: dict | None = None
    """settings of Jumanji's generator; None: it is JaxMARL's"""


CASES = [
    Case("mpe/simple", (), "MPE_simple_v3"),
    Case("mpe/simple_spread", (), "MPE_simple_spread_v3"),
    Case("mpe/simple_tag", (), "MPE_simple_tag_v3"),
    Case("mpe/simple_adversary", (), "MPE_simple_adversary_v3"),
    Case("mpe/simple_push", (), "MPE_simple_push_v3"),
    Case("mpe/simple_reference", (), "MPE_simple_reference_v3"),
    Case("mpe/simple_speaker_listener", (), "MPE_simple_speaker_listener_v4"),
    Case("mpe/simple_crypto", (), "MPE_simple_crypto_v3"),
    Case("mpe/simple_world_comm", (), "MPE_simple_world_comm_v3"),
    *(
        Case(
            "mpe/predator_prey",
            ("--env.num-adversaries", 3 * n, "--env.num-good", n, "--env.num-obstacles", 2 * n),
            f"MPE_simple_facmac_{3 * n}a_v1",
        )
        for n in (1, 2, 3)
    ),
    # Both as Jumanji registers them, and in sizes that papers train on.
    *(
        Case(
            "lbf/foraging",
            ("--env.rows", size, "--env.num-agents", num, "--env.num-foods", foods, *(["--env.cooperative"] * coop)),
            "LevelBasedForaging-v0",
            horizon=100,
            generator={"grid_size": size, "fov": size, "num_agents": num, "num_food": foods, "force_coop": coop},
        )
        for size, num, foods, coop in ((8, 2, 2, True), (15, 3, 5, False))
    ),
    *(
        Case(
            "rware/warehouse",
            ("--env.size", size, "--env.num-agents", 4, "--env.num-requests", requests, "--env.reward", "global"),
            "RobotWarehouse-v0",
            horizon=500,
            generator=_AISLES | {"shelf_rows": rows, "num_agents": 4, "request_queue_size": requests},
        )
        for size, rows, requests in (("small", 2, 8), ("tiny", 1, 4))
    ),
]


def commands_of(case: Case, env_steps: int, jumanji_python: str) -> dict[str, tuple[Command, str]]:
    """Return what is run for one world, by name; a repeat here takes ten times the steps, as it is as much faster."""
    steps = -(-10 * env_steps // NUM_ENVS // case.horizon) * case.horizon
    here = ("bench", "env", case.env, "--num-envs", NUM_ENVS, "--env.horizon", case.horizon, *case.settings)
    sizes = ("--num-envs", NUM_ENVS, "--env-steps", env_steps)
    if case.generator is None:
        name, there = "jaxmarl", peer("step", "jaxmarl", "--env", case.there, *sizes)
    else:
        world = (case.there, "--horizon", case.horizon, "--generator", json.dumps(case.generator))
        name, there = "jumanji", peer(*world, *sizes, script="jumanji_peer.py", python=jumanji_python)
    return {
        OURS: (ours(*here, "--steps", steps, "--repeats", 3), "all"),
        f"{name}, 1 thread": (there, "1"),
        f"{name}, all threads": (there, "all"),
    }


def against_the_best(rows: list[dict]) -> str:
    """Return a line of the table: the world, its speed here, the best there, and how many times that it is."""
    here, *there = rows
    best = max(there, key=lambda row: row["env_steps_per_second"])
    speeds = " | ".join(f"{row['env_steps_per_second']:,.0f}" for row in (here, best))
    return f"| `{here['env']} {here['settings']}`".rstrip(" `") + f"` | {speeds} | {best['ours_is']:.1f} |"


def main() -> None:
    """Run the comparison, print its table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="runs of every command")
    parser.add_argument("--env-steps", type=int, default=200_000, help="environment steps of a peer's repeat, about")
    parser.add_argument("--only", nargs="+", default=[""], help="beginnings of the environments' names, such as lbf")
    parser.add_argument("--jumanji-python", default=sys.executable, help="Python of an environment that has Jumanji")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    given = parser.parse_args()
    rows, table = [], ["| environment | here | the best there | here / there |", "| --- | --- | --- | --- |"]
    for case in CASES:
        if case.env.startswith(tuple(given.only)):
            figures = in_turns(commands_of(case, given.env_steps, given.jumanji_python), given.rounds)
            settings = " ".join(map(str, case.settings))
            print(f"{case.env} {settings}")
            rows.append([{**row, "env": case.env, "settings": settings} for row in beside_peers(figures)])
            table.append(against_the_best(rows[-1]))
            write(given.out, "suite_speed", [row for case_rows in rows for row in case_rows])
    print("\n".join(table))


if __name__ == "__main__":
    main()
