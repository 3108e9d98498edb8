"""How fast each learner trains on simple_spread with its shipped defaults, beside ippo's, in turns.

python benchmarks/learner_speed.py --out benchmarks/results/learner_speed.json
python benchmarks/learner_speed.py --only ippo mappo      # those learners alone
"""

import argparse
from pathlib import Path

from processes import in_turns, ours, write

FIRST = "ippo"
VARIANTS = {
    "ippo": ("", "--sharing independent", "--memory 32"),
    "mappo": ("", "--sharing independent", "--memory 32"),
    **dict.fromkeys(("ia2c", "maa2c", "coma", "impala", "trpo", "matrpo", "happo", "hatrpo"), ("",)),
    **dict.fromkeys(("iql", "vdn", "qmix", "qplex", "qtran_base", "qtran_alt", "central_q", "pqn"), ("",)),
    **dict.fromkeys(("iddpg", "maddpg", "matd3", "isac", "masac", "facmac", "maac"), ("",)),
}


def main() -> None:
    """Measure the learners, print their table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="runs of every command")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="learners")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    given = parser.parse_args()
    algos = dict.fromkeys([FIRST, *given.only])
    names = [f"{algo} {settings}".strip() for algo in algos for settings in VARIANTS[algo]]
    commands = {
        name: (ours("bench", "train", name.split()[0], "mpe/simple_spread", *name.split()[1:]), "all") for name in names
    }
    figures = in_turns(commands, given.rounds)
    first = figures[FIRST]["env_steps_per_second"]
    rows = []
    for name, values in figures.items():
        share = values["env_steps_per_second"] / first
        print(f"{name:30}{values['env_steps_per_second']:12,.0f} env steps/s  {share:.2f} of {FIRST}'s", flush=True)
        rows.append({"learner": name, **values, f"share_of_{FIRST}": share})
    write(given.out, "learner_speed", rows)


if __name__ == "__main__":
    main()
