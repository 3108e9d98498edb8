"""Training value-based learners on simple_spread with the settings of JaxMARL's scripts, here and there, in turns.

    pip install 'jaxmarl-lite[benchmarks]'
    git clone https://github.com/FLAIROx/JaxMARL
    python benchmarks/value_speed.py --jaxmarl JaxMARL --out benchmarks/results/value_speed.json

Without --jaxmarl only this library is measured. A run is a whole one, with 20 evaluations of 512 episodes, and without
compiling. Here it is `jaxmarl-lite train`; writing its checkpoints is not counted, as there are none there.
"""

import argparse
import tempfile
from pathlib import Path

from processes import OURS, beside_peers, in_turns, ours, peer, write

EVALUATED = ("--blocks", 20, "--eval-episodes", 512)
Q = (
    *("--experience", "replay", "--gradient-steps", 1, "--batch", 32, "--lr", 5e-3, "--gamma", 0.9, "--lam", 0),
    *("--target-period", 200, "--max-grad-norm", 25, "--no-normalise-values"),
)
# The script of each case there, and the settings of its configuration file, by which 10,000 steps come before learning.
CASES = {
    "qmix_rnn": (
        *("qmix", "mpe/simple_spread", *Q, "--num-envs", 8, "--rollout-length", 26, "--capacity", 625 * 26),
        *("--warmup", 49 * 26, "--sequence", 26, "--stride", 26, "--memory", 64, "--hidden", 64),
        *("--mixer-embed", 32, "--mixer-hidden", 128),
    ),
    "vdn_ff": (
        *("vdn", "mpe/simple_spread", *Q, "--num-envs", 32, "--rollout-length", 16, "--capacity", 3120),
        *("--warmup", 320, "--sequence", 1, "--hidden", 64, 64),
    ),
    "pqn_vdn_ff": (
        *("pqn", "mpe/simple_spread", "--num-envs", 256, "--rollout-length", 16, "--minibatches", 16, "--epochs", 4),
        *("--hidden", 256, 256, "--lr", 5e-4, "--gamma", 0.9, "--lam", 0.3, "--max-grad-norm", 1, "--epsilon-end", 0.1),
        *("--no-anneal-lr", "--no-normalise-values"),
    ),
}


# The same with hundreds of environments and gradient steps on as many more sequences, so that each step is learnt from
# as often.
WIDE = {
    "qmix_rnn": (*CASES["qmix_rnn"], "--num-envs", 256, "--batch", 1024, "--capacity", 20 * 26, "--warmup", 2 * 26),
    "vdn_ff": (*CASES["vdn_ff"], "--num-envs", 512, "--batch", 512, "--capacity", 192, "--warmup", 32),
    "pqn_vdn_ff": (*CASES["pqn_vdn_ff"], "--num-envs", 1024),
}


def with_evaluation(summary: dict) -> dict:
    """Return a run's figures with the speed of training and evaluation together, as a peer's are."""
    if "eval_seconds" not in summary:
        return summary
    seconds = summary["train_seconds"] + summary["eval_seconds"]
    return {**summary, "env_steps_per_second": summary["env_steps"] / seconds}


def main() -> None:
    """Run the comparison, print its table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), help="cases")
    parser.add_argument("--rounds", type=int, default=3, help="runs of every command")
    parser.add_argument("--env-steps", type=int, default=1_000_000, help="environment steps of a run")
    parser.add_argument("--jaxmarl", type=Path, help="checkout of JaxMARL's repository")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    given = parser.parse_args()
    rows = []
    for script in given.only:
        with tempfile.TemporaryDirectory() as folder:
            plan = (*EVALUATED, "--steps", given.env_steps, "--out", folder, "--overwrite")
            commands = {OURS: (ours("train", *CASES[script], *plan), "all")}
            commands[f"{OURS}, more environments"] = (ours("train", *WIDE[script], *plan), "all")
            if given.jaxmarl is not None:
                sizes = ("--env-steps", given.env_steps, "--repeats", 1, "--checkout", given.jaxmarl)
                there = peer("train", "jaxmarl", "--script", script, *sizes)
                commands |= {f"jaxmarl, {threads} thread(s)": (there, threads) for threads in ("1", "all")}
            figures = in_turns(commands, given.rounds, read=with_evaluation)
        rows += beside_peers(figures, script=script)
        write(given.out, "value_speed", rows)


if __name__ == "__main__":
    main()
