"""Train with the shipped defaults and write the returns reached, with the command of each row, as a table.

python scripts/learning_table.py --out benchmarks/learning.md                            # rows that it lacks
python scripts/learning_table.py --only climbing-ippo --out benchmarks/learning.md       # one row, others stay
python scripts/learning_table.py --only climbing-ippo                                    # one row, on the console

The figures go beside the table, into results/learning.json, from which rows that are not trained now are taken, and
with which `check_learning.py` compares. A row whose command has changed is trained anew; one that --runs holds is not.
All of them take some five hours.
"""

import argparse
import hashlib
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np

from jaxmarl_lite.cli.main import main as jaxmarl_lite
from jaxmarl_lite.training.checkpoint import write_text
from jaxmarl_lite.training.folder import RunFolder

ON_POLICY = ("ippo", "mappo", "ia2c", "maa2c", "coma", "impala", "trpo", "matrpo", "happo", "hatrpo")
ASKED = {"ippo": "-24.5 or more", "mappo": "-24.5 or more", "coma": "-40 or more"}
ASKED |= dict.fromkeys(("ia2c", "maa2c", "happo"), "-30 or more")
# Second-order steps are slow, and passes over one rollout are several updates: fewer steps. Single gradient steps are
# quick and small: more of them.
SPREAD_STEPS = {
    "ia2c": "2e7",
    "maa2c": "2e7",
    "happo": "1.6e7",
    "impala": "2e6",
    "trpo": "2e6",
    "matrpo": "2e6",
    "hatrpo": "1e6",
}
CLIMBING_STEPS: dict[str, str] = dict.fromkeys(("ia2c", "maa2c", "coma", "impala"), "1e6")
VALUE = ("iql", "vdn", "vdn_dueling", "qmix", "qtran_base", "qtran_alt", "qplex", "central_q", "pqn")
VALUE_ASKED = {"qmix": "-30 or more", "vdn": "-30 or more", "pqn": "-30 or more", "iql": "-32 or more"}
OFF_POLICY = ("iddpg", "maddpg", "matd3", "isac", "masac", "facmac", "maac")
# Where networks with memory are held against those without, after fewer steps than the best results take.
TWINS = ("ippo", "mappo", "ia2c", "maa2c", "coma", "happo")
# Gradients through time are noisier: many steps on one rollout want to be smaller.
MEMORY = dict.fromkeys(TWINS, " --memory 32") | dict.fromkeys(("ippo", "mappo", "happo"), " --memory 32 --lr 2e-3")

# Worlds of the other families: what is trained, and what is asked of ippo and of mappo. Figures are those of Papoudakis
# et al. 2021 (arXiv:2006.07869, table 3) as sums over agents. Theirs of particle worlds are of the order of velocities
# and positions that is "openai" here; their opponents in tag and adversary were trained, ours follow a rule.
SUITE = {
    "tag": (
        "mpe/simple_tag --env.prey heuristic --eval-episodes 512",
        ("4e6", "58.3 (3 x 19.44)"),
        ("4e6", "55.6 (3 x 18.52)"),
    ),
    "adversary": (
        "mpe/simple_adversary --env.adversary heuristic --eval-episodes 512",
        ("4e6", "24.3 (2 x 12.17)"),
        ("4e6", "22.6 (2 x 11.30)"),
    ),
    "speaker_listener": (
        "mpe/simple_speaker_listener --env.dynamics openai --eval-episodes 512",
        ("6e6", "-13.10"),
        ("6e6", "-10.68, the best of 41 evaluations of 500 episodes"),
    ),
    "rware": (
        "rware/warehouse --env.num-agents 4 --gamma 0.99 --lr 1e-3 --rollout-length 50 --sample-eval",
        ("8e6", "20; theirs 31.8 after 40M"),
        ("8e6", "20; theirs 49.4 after 40M"),
    ),
    "lbf_15x15_3p_5f": (
        "lbf/foraging --env.rows 15 --env.columns 15 --env.num-agents 3 --env.num-foods 5 --sample-eval "
        "--eval-episodes 512",
        ("1.5e7", "0.75; theirs 0.77"),
        ("2e7", "0.75; theirs 0.77"),
    ),
    "pistonball": (
        "butterfly/pistonball --gamma 0.99",
        ("2e6", "solved in most episodes"),
        ("5e5", "solved in most episodes"),
    ),
    "lbf_8x8_2p_2f_coop": (
        "lbf/foraging --env.cooperative --eval-episodes 512",
        ("4e6", "1.00"),
        ("8e6", "1.00"),
    ),
}

SLOW = ("lbf_15x15_3p_5f", "rware")

# name: (arguments of `jaxmarl-lite train`, what is asked of it)
ROWS = {
    **{
        f"spread-{algo}": (
            f"{algo} mpe/simple_spread --steps {SPREAD_STEPS.get(algo, '1e7')} --seeds 4",
            ASKED.get(algo, ""),
        )
        for algo in ON_POLICY
    },
    **{
        f"{kind}-{algo}": (f"{algo} mpe/simple_spread --steps 2e6 --seeds 4{option}", asked)
        for algo in TWINS
        for kind, option, asked in (("twin", "", ""), ("memory", MEMORY[algo], "within 2 of the row above"))
    },
    "memory-impala": ("impala mpe/simple_spread --steps 2e6 --seeds 4 --memory 32", "within 2 of impala above"),
    "twin-trpo": ("trpo mpe/simple_spread --steps 1e6 --seeds 4", ""),
    "memory-trpo": ("trpo mpe/simple_spread --steps 1e6 --seeds 4 --memory 32", "within 2 of the row above"),
    "memory-matrpo": (
        "matrpo mpe/simple_spread --steps 2e6 --seeds 4 --memory 32 --lr 2e-3",
        "within 2 of matrpo above",
    ),
    "memory-hatrpo": ("hatrpo mpe/simple_spread --steps 1e6 --seeds 4 --memory 32", "within 2 of hatrpo above"),
    **{
        f"spread-{algo}": (f"{algo} mpe/simple_spread --steps 2e6 --seeds 4", asked)
        for algo, asked in VALUE_ASKED.items()
    },
    **{
        f"spread-{algo}": (f"{algo} mpe/simple_spread --steps 2e6 --seeds 4", "-33 or more")
        for algo in ("maddpg", "masac")
    },
    **{
        f"continuous-{algo}": (f"{algo} mpe/simple_spread --env.continuous --steps 2e6 --seeds 4", "-28 or more")
        for algo in ("matd3", "masac")
    },
    "continuous-ippo": ("ippo mpe/simple_spread --env.continuous --steps 2e6 --seeds 4", "is learnt"),
    "continuous-mappo": ("mappo mpe/simple_spread --env.continuous --steps 2e6 --seeds 4", "is learnt"),
    "continuous-coma": ("coma mpe/simple_spread --env.continuous --steps 1e7 --seeds 4", "is learnt"),
    **{
        f"navigation-{algo}": (f"{algo} grid/navigation --steps 1e6 --seeds 4", "17.3 in every episode")
        for algo in ON_POLICY
    },
    **{
        f"navigation-{algo}": (f"{algo} grid/navigation --steps 5e5 --seeds 4", "17.3 in every episode")
        for algo in (*VALUE, "iql_tabular", "iddpg", "maddpg", "facmac")
    },
    **{
        f"navigation-maddpg-{way}": (
            f"maddpg grid/navigation --steps 5e5 --seeds 4 --discrete {way}",
            "17.3 in every episode",
        )
        for way in ("gumbel", "score")
    },
    **{
        f"climbing-{algo}": (
            f"{algo} matrix/climbing --steps {CLIMBING_STEPS.get(algo, '3e5')} --seeds 8",
            "350 or more; 550 is the best",
        )
        for algo in ON_POLICY
    },
    "prisoners_dilemma-iql_tabular": ("iql_tabular matrix/prisoners_dilemma --steps 3e5 --seeds 8", "50: both defect"),
    "prisoners_dilemma": ("ippo matrix/prisoners_dilemma --steps 3e5 --seeds 8", "50: both defect"),
    "penalty": ("ippo matrix/penalty --env.k 0 --steps 3e5 --seeds 8", "500"),
    **{
        f"prisoners_dilemma-{algo}": (
            f"{algo} matrix/prisoners_dilemma --steps 1e5 --seeds 4",
            "150: the team's reward is learnt" if algo == "facmac" else "50: both defect",
        )
        for algo in OFF_POLICY
    },
    **{
        f"matching_pennies-{algo}": (
            f"{algo} matrix/matching_pennies --steps 1e5 --seeds 4",
            "0; near uniform on average",
        )
        for algo in OFF_POLICY
        if algo != "facmac"  # whose team is paid nothing whatever it does
    },
    "matching_pennies": ("ippo matrix/matching_pennies --steps 3e5 --seeds 8", "0; finite"),
    "rock_paper_scissors": ("ippo matrix/rock_paper_scissors --steps 3e5 --seeds 8", "0; finite"),
    **{
        f"{name}-{algo}": (f"{algo} {work} --steps {steps} --seeds {3 if name in SLOW else 4}", asked)
        for name, (work, of_ippo, of_mappo) in SUITE.items()
        for algo, (steps, asked) in (("ippo", of_ippo), ("mappo", of_mappo))
    },
    # Ten words are learnt only where little is given for choosing them at random; a critic that sees the listener is
    # quicker to tell which word was good.
    **{
        f"reference-{algo}": (
            f"{algo} mpe/simple_reference --env.dynamics openai --steps {steps} --lr 2e-3 --entropy 0.003 "
            f"--eval-episodes 512 --seeds {seeds}",
            "-12 (HARL's MAPPO)",
        )
        for algo, steps, seeds in (("ippo", "1e7", 3), ("mappo", "2e7", 4))
    },
}

CLIMBING_BEST = 550.0
ZERO_SUM = ("matching_pennies", "rock_paper_scissors")
THEORY = """
In the prisoner's dilemma defecting is better whatever the other does, so those that learn by their own reward defect
(50 in all), and a team that learns by its mean reward cooperates (150). In a zero-sum game without a best pure choice
gradient play of both turns round the equilibrium and only averages over time come near (Singh, Kearns and Mansour
2000, arXiv:1301.3892); a falling learning rate leaves it somewhere on the way.
"""

HEADER = """\
# What the learners reach

Made by `python scripts/learning_table.py --out benchmarks/learning.md` on {device}, {cores} cores, jax {jax}.
Shipped defaults but for what a command names. `return_sum` is the undiscounted return of an episode summed over agents,
its mean over the episodes of the last evaluation, greedy unless the command has --sample-eval; the interval is
Student's t over seeds, 95 %; "best" is the greatest mean over seeds of any evaluation, as Papoudakis et al. 2021 and
others report it, which the noise of each evaluation flatters; "every episode" is the least and the greatest return of
any. Time is training alone; steps/s are of all seeds together, and no benchmark: runs shared the cores with other
work, and some were halted for minutes. Each ran on one device (`--devices 1`).

| command | asked | return_sum | interval | best | per seed | every episode | per agent | steps/s | time |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""


def best_evaluation(run: Path) -> float:
    """Return the greatest of the evaluations' means over seeds, which is what many publish."""
    returns: dict[int, list[float]] = {}
    for line in RunFolder(run).rows():
        returns.setdefault(line["block"], []).append(line["eval_return_sum"])
    return max(sum(values) / len(values) for values in returns.values())


def figures_of(name: str, out: Path) -> dict[str, Any]:
    """Return what is stored of a row: its command and what it reached, from its run's folder."""
    summary = json.loads((out / "summary.json").read_text())
    of_returns = ("return_sum", "return_sum_ci95", "return_sum_per_seed", "return_sum_min", "return_sum_max")
    figures = {
        "arguments": ROWS[name][0],
        **{key: summary["eval"][key] for key in (*of_returns, "return_per_agent")},
        "return_sum_best": best_evaluation(out),
        **{key: summary[key] for key in ("env_steps", "env_steps_per_second", "train_seconds")},
        "cores": os.cpu_count(),
        **{key: summary[key] for key in ("device", "versions")},
    }
    if name.startswith(ZERO_SUM):
        figures["policy_mean"] = np.mean(summary["policy_time_average"], 0).tolist()
    return figures


def trained(name: str, runs: Path) -> dict[str, Any]:
    """Train a row, unless its folder holds it already, and return its figures."""
    out = folder(name, runs)
    if not (out / "summary.json").exists():
        words = [*shlex.split(ROWS[name][0]), "--devices", "1"]
        status = jaxmarl_lite(["train", *words, "--out", str(out), "--overwrite"])
        if status:
            sys.exit(status)
    return figures_of(name, out)


def folder(name: str, runs: Path) -> Path:
    """Return where a row's run is, or is to be; a row whose command changes gets another one."""
    return runs / f"{name}-{hashlib.sha256(ROWS[name][0].encode()).hexdigest()[:8]}"


def line(name: str, figures: dict[str, Any]) -> str:
    """Return a row's line of the table."""
    low, high = figures["return_sum_ci95"]
    cells = [
        f"| `train {figures['arguments']}`",
        ROWS[name][1],
        f"**{figures['return_sum']:.2f}**",
        f"[{low:.2f}, {high:.2f}]",
        f"{figures['return_sum_best']:.2f}",
        ", ".join(f"{value:.1f}" for value in figures["return_sum_per_seed"]),
        f"[{figures['return_sum_min']:.2f}, {figures['return_sum_max']:.2f}]",
        ", ".join(f"{value:.2f}" for value in figures["return_per_agent"]),
        f"{figures['env_steps_per_second']:,.0f}",
        f"{figures['train_seconds']:.0f} s |",
    ]
    return " | ".join(cells)


def found_best(name: str, figures: dict[str, Any]) -> str:
    """Return how many seeds found the best cell of climbing: 11 for both in each of 25 rounds."""
    returns = figures["return_sum_per_seed"]
    found = sum(value > CLIMBING_BEST - 1 for value in returns)
    return f"{name.removeprefix('climbing-')} {found}/{len(returns)}"


def averages(name: str, figures: dict[str, Any]) -> str:
    """Return the policies of a zero-sum game, averaged over training and seeds."""
    players = (
        f"player {player}: " + ", ".join(f"{value:.2f}" for value in policy)
        for player, policy in enumerate(figures["policy_mean"])
    )
    return f"- `{name}`: " + "; ".join(players)


def document(rows: dict[str, dict[str, Any]]) -> str:
    """Return the page of these rows."""
    last = next(reversed(rows.values()))
    text = HEADER.format(device=last["device"], cores=last["cores"], jax=last["versions"]["jax"])
    text += "".join(line(name, figures) + "\n" for name, figures in rows.items())
    missing = [name for name in ROWS if name not in rows]
    if missing:
        text += f"\nThe script has rows that do not stand here: {', '.join(missing)}.\n"
    found = [found_best(name, figures) for name, figures in rows.items() if name.startswith("climbing")]
    if found:
        text += f"\nSeeds that find 275 each on climbing, of all: {', '.join(found)}.\n"
    policies = [averages(name, figures) for name, figures in rows.items() if name.startswith(ZERO_SUM)]
    if policies:
        text += THEORY
        text += "\nPolicies of the zero-sum games, averaged over training and seeds (uniform is the equilibrium):\n\n"
        text += "\n".join(policies) + "\n"
    return text


def stored(path: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of an earlier table whose commands are still those of this script."""
    rows = json.loads(path.read_text()) if path.exists() else {}
    return {name: rows[name] for name in ROWS if name in rows and rows[name]["arguments"] == ROWS[name][0]}


def main() -> None:
    """Train the rows and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=ROWS, metavar="ROW", help="rows to train; left out: all lacking")
    parser.add_argument("--runs", type=Path, default=Path("runs/learning"), help="folder of the runs")
    parser.add_argument("--out", type=Path, help="Markdown file to write, and results/ beside it")
    given = parser.parse_args()
    results = given.out.parent / "results" / f"{given.out.stem}.json" if given.out else None
    if results:
        results.parent.mkdir(parents=True, exist_ok=True)
    rows = stored(results) if results else {}
    for name in given.only or [name for name in ROWS if name not in rows]:
        new = {name: trained(name, given.runs)}
        found = {**(stored(results) if results else rows), **new}  # read again: others may have added rows meanwhile
        rows = {name: found[name] for name in ROWS if name in found}
        if results:  # after every row, so that a stop loses none
            write_text(results, json.dumps(rows, indent=1) + "\n")
            write_text(given.out, document(rows))
    if not results:
        print(document(rows))


if __name__ == "__main__":
    main()
