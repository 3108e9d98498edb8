"""Training MADDPG on simple_spread: with BenchMARL's networks and ratio beside BenchMARL itself, with the shipped
defaults, and with more or fewer gradient steps for each environment step.

    pip install 'jaxmarl-lite[benchmarks,plots]'
    python benchmarks/off_policy_speed.py --peer --out benchmarks/results/off_policy_speed.json

Without --peer only this library is measured. BenchMARL's defaults are layers of 256-256 and 1,000 gradient steps on 128
steps for 6,000 environment steps; here that is 64 for 384. The picture of the ratios goes beside the JSON.
"""

import argparse
import tempfile
from pathlib import Path

from processes import OURS, beside_peers, in_turns, ours, peer, run_json, write

WORK = ("mpe/simple_spread",)
BENCHMARL = (
    *("maddpg", *WORK, "--env.continuous", "--hidden", 256, 256, "--activation", "tanh", "--batch", 128),
    *("--rollout-length", 3, "--capacity", 501, "--gradient-steps", 64),
)
STEPS_PER_UPDATE = 640  # with the shipped defaults, of which as many gradient steps as are named are taken
RATIOS = (4, 8, 16, 32, 64)


def side_by_side(rounds: int, with_peer: bool) -> list[dict]:
    """Return the speeds here and there, with the shares of the phases here."""
    commands = {OURS: (ours("bench", "train", *BENCHMARL, "--updates", 20, "--repeats", 3), "all")}
    if with_peer:
        commands["benchmarl"] = (peer("train", "benchmarl", "--env-steps", 6000, "--repeats", 2), "all")
    shares = {}

    def read(figures: dict) -> dict:
        if "phases" in figures:
            shares[OURS] = figures["phases"]
        return figures

    rows = beside_peers(in_turns(commands, rounds, read), settings="benchmarl")
    return [{**row, "phases": shares.get(row["library"])} for row in rows]


def shipped() -> dict:
    """Return the speed with the shipped defaults and the shares of the phases."""
    figures = run_json(ours("bench", "train", "maddpg", *WORK))
    parts = ", ".join(f"{name} {values['share']:.0%}" for name, values in figures["phases"].items())
    print(f"shipped defaults: {figures['env_steps_per_second']:,.0f} env steps/s ({parts})", flush=True)
    return {"library": OURS, "settings": "shipped", **figures}


def of_ratio(gradient_steps: int, env_steps: int, seeds: int) -> dict:
    """Return the speed and the return with so many gradient steps for 640 environment steps."""
    with tempfile.TemporaryDirectory() as folder:
        plan = ("--steps", env_steps, "--seeds", seeds, "--out", folder, "--overwrite")
        summary = run_json(ours("train", "maddpg", *WORK, "--gradient-steps", gradient_steps, *plan))
    speed, tested = summary["env_steps_per_second"], summary["eval"]
    print(
        f"{gradient_steps:3} gradient steps: {speed:10,.0f} env steps/s, return {tested['return_sum']:.2f}", flush=True
    )
    return {
        "library": OURS,
        "settings": "ratio",
        "gradient_steps_per_env_step": gradient_steps / STEPS_PER_UPDATE,
        "env_steps": summary["env_steps"],
        "env_steps_per_second": speed,
        "return_sum": tested["return_sum"],
        "return_sum_ci95": tested["return_sum_ci95"],
    }


def draw(rows: list[dict], path: Path) -> None:
    """Draw speed and return against the ratio."""
    import matplotlib.pyplot as plt

    ratios = [row["gradient_steps_per_env_step"] for row in rows]
    figure, (speed, returned) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    speed.loglog(ratios, [row["env_steps_per_second"] for row in rows], "o-")
    speed.set(xlabel="gradient steps per environment step", ylabel="environment steps a second")
    middle = [row["return_sum"] for row in rows]
    errors = [(high - low) / 2 for low, high in (row["return_sum_ci95"] for row in rows)]
    returned.errorbar(ratios, middle, errors, fmt="o-", capsize=3)
    returned.set(xscale="log", xlabel="gradient steps per environment step", ylabel="return, summed over agents")
    figure.suptitle(f"maddpg on mpe/simple_spread after {rows[0]['env_steps']:,} environment steps")
    figure.savefig(path, dpi=120)


def main() -> None:
    """Run all three, print their tables, and write them as JSON and a picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, help="runs of every command that stands beside another")
    parser.add_argument("--peer", action="store_true", help="measure BenchMARL too")
    parser.add_argument("--env-steps", type=int, default=500_000, help="of each seed of a ratio")
    parser.add_argument("--seeds", type=int, default=3, help="of a ratio, at least 2")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    given = parser.parse_args()
    rows = [*side_by_side(given.rounds, given.peer), shipped()]
    ratios = [of_ratio(steps, given.env_steps, given.seeds) for steps in RATIOS]
    write(given.out, "off_policy_speed", [*rows, *ratios])
    if given.out is not None:
        draw(ratios, given.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
