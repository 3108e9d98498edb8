"""Training IPPO on simple_spread with the settings of JaxMARL's script, here and there, in turns.

    pip install 'jaxmarl-lite[benchmarks]'
    git clone https://github.com/FLAIROx/JaxMARL
    python benchmarks/train_speed.py --jaxmarl JaxMARL --out benchmarks/results/train_speed.json

Without --jaxmarl only this library is measured.
"""

import argparse
from pathlib import Path

from processes import OURS, beside_peers, in_turns, ours, peer, write

SETTINGS = (
    *("--rollout-length", 128, "--epochs", 4, "--minibatches", 4, "--lr", 2.5e-4, "--gamma", 0.99, "--lam", 0.95),
    *("--clip", 0.2, "--entropy", 0.01, "--value-weight", 0.5, "--max-grad-norm", 0.5, "--hidden", 64, 64),
    *("--value-clip", 0.2, "--normalise-values", "off"),
)
CASES = [(16, 1), (256, 1), (1024, 1), (16, 8)]


def main() -> None:
    """Run the comparison, print its table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="runs of every command")
    parser.add_argument("--env-steps", type=int, default=100_000, help="environment steps of a peer's repeat, about")
    parser.add_argument("--jaxmarl", type=Path, help="checkout of JaxMARL's repository")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    given = parser.parse_args()
    rows = []
    for num_envs, seeds in CASES:
        words = ("bench", "train", "ippo", "mpe/simple_spread", "--num-envs", num_envs, *SETTINGS, "--seeds", seeds)
        commands = {OURS: (ours(*words, "--repeats", 5), "all")}
        if given.jaxmarl is not None and seeds == 1:
            sizes = ("--num-envs", num_envs, "--env-steps", given.env_steps, "--checkout", given.jaxmarl)
            commands |= {
                f"jaxmarl, {threads} thread(s)": (peer("train", "jaxmarl", *sizes), threads) for threads in ("1", "all")
            }
        figures = in_turns(commands, given.rounds)
        rows += beside_peers(figures, num_envs=num_envs, seeds=seeds)
        write(given.out, "train_speed", rows)


if __name__ == "__main__":
    main()
