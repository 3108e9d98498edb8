"""Train with the shipped defaults and write the returns reached, with the command of each row, as a table.

python scripts/learning_table.py --out benchmarks/learning.md            # everything, about half an hour
python scripts/learning_table.py --only climbing --runs runs/learning    # one row, on the console
"""

import argparse
import json
import os
import shlex
import sys
from pathlib import Path

from jaxmarl_lite.cli.main import main as jaxmarl_lite

# name: (arguments of `jaxmarl-lite train`, what is asked of it)
ROWS = {
    "spread": ("ippo mpe/simple_spread --steps 1e7 --seeds 4", "-27 or more"),
    "spread-2M": ("ippo mpe/simple_spread --steps 2e6 --seeds 4", "-32 or more"),
    "navigation": ("ippo grid/navigation --steps 1e6 --seeds 8", "17.3 in every episode"),
    "prisoners_dilemma": ("ippo matrix/prisoners_dilemma --steps 3e5 --seeds 8", "50: both defect"),
    "penalty": ("ippo matrix/penalty --env.k 0 --steps 3e5 --seeds 8", "500"),
    "climbing": ("ippo matrix/climbing --steps 3e5 --seeds 8", "350 or more"),
    "matching_pennies": ("ippo matrix/matching_pennies --steps 3e5 --seeds 8", "0; finite"),
    "rock_paper_scissors": ("ippo matrix/rock_paper_scissors --steps 3e5 --seeds 8", "0; finite"),
}

HEADER = """\
# What the learners reach

Made by `python scripts/learning_table.py --out benchmarks/learning.md` on {device}, {cores} cores, jax {jax}.
Shipped defaults. `return_sum` is the undiscounted return of an episode summed over agents, its mean over the greedy
episodes of the last evaluation; the interval is Student's t over seeds, 95 %; "every episode" is the least and the
greatest return of any. Time is training alone; steps/s are of all seeds together.

| command | asked | return_sum | interval | every episode | per agent | steps/s | time |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


def row(name: str, runs: Path) -> tuple[str, dict]:
    """Train one row, unless its folder holds it already, and return its line of the table and its summary."""
    arguments, asked = ROWS[name]
    out = runs / name
    if not (out / "summary.json").exists():
        status = jaxmarl_lite(["train", *shlex.split(arguments), "--out", str(out), "--overwrite"])
        if status:
            sys.exit(status)
    summary = json.loads((out / "summary.json").read_text())
    figures = summary["eval"]
    low, high = figures["return_sum_ci95"]
    line = " | ".join(
        [
            f"| `train {arguments}`",
            asked,
            f"**{figures['return_sum']:.2f}**",
            f"[{low:.2f}, {high:.2f}]",
            f"[{figures['return_sum_min']:.2f}, {figures['return_sum_max']:.2f}]",
            ", ".join(f"{value:.2f}" for value in figures["return_per_agent"]),
            f"{summary['env_steps_per_second']:,.0f}",
            f"{summary['train_seconds']:.0f} s |",
        ]
    )
    return line, summary


def averages(name: str, summary: dict) -> str:
    """Return the policies of a zero-sum game, averaged over training and seeds."""
    policies = summary["policy_time_average"]
    agents = range(len(policies[0]))
    means = [
        [sum(p[agent][n] for p in policies) / len(policies) for n in range(len(policies[0][agent]))] for agent in agents
    ]
    text = "; ".join(f"player {agent}: " + ", ".join(f"{value:.2f}" for value in means[agent]) for agent in agents)
    return f"- `{name}`: {text}"


def main() -> None:
    """Train the rows and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), help="rows")
    parser.add_argument("--runs", type=Path, default=Path("runs/learning"), help="folder of the runs")
    parser.add_argument("--out", type=Path, help="Markdown file to write")
    given = parser.parse_args()
    lines, policies = [], []
    for name in given.only:
        line, summary = row(name, given.runs)
        lines.append(line)
        if name in ("matching_pennies", "rock_paper_scissors"):
            policies.append(averages(name, summary))
    text = HEADER.format(device=summary["device"], cores=os.cpu_count(), jax=summary["versions"]["jax"])
    text += "\n".join(lines) + "\n"
    if policies:
        text += "\nPolicies of the zero-sum games, averaged over training and seeds (uniform is the equilibrium):\n\n"
        text += "\n".join(policies) + "\n"
    if given.out:
        given.out.write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
