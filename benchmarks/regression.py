"""Is this checkout slower than the stored one? Speeds are compared as ratios to a reference measured in the same run.

The reference is a float32 matrix product for training and a copy in memory for stepping, both timed just before and
just after; a machine that is busy or slower slows both, and their ratio stays. Exits with status 1 if a ratio fell
below `--least` of the stored one.

    python benchmarks/regression.py                # compare with benchmarks/results/baseline.json
    python benchmarks/regression.py --store        # make this checkout the one to compare with
"""

import argparse
import json
import statistics
import sys

from processes import HERE, ours, run_json

BASELINE = HERE / "results" / "baseline.json"
WORK = {
    "step spread": ("copy", ("bench", "env", "mpe/simple_spread", "--num-envs", 4096)),
    "step grid": ("copy", ("bench", "env", "grid/navigation", "--num-envs", 4096)),
    "train ippo": ("product", ("bench", "train", "ippo", "mpe/simple_spread")),
}
REFERENCE = """
import json
from jaxmarl_lite.training.placement import offer_cores
offer_cores(1)
from jaxmarl_lite.bench.peak import copy_bandwidth, product_peak
print(json.dumps({"product": product_peak(), "copy": copy_bandwidth()}))
"""


def measure(rounds: int) -> dict[str, float]:
    """Return for each work the median over rounds of its speed divided by its reference's."""
    ratios: dict[str, list[float]] = {name: [] for name in WORK}
    for _ in range(rounds):
        for name, (reference, words) in WORK.items():
            before = run_json([sys.executable, "-c", REFERENCE])[reference]
            speed = run_json(ours(*words))["env_steps_per_second"]
            after = run_json([sys.executable, "-c", REFERENCE])[reference]
            ratios[name].append(speed / ((before + after) / 2))
    return {name: statistics.median(values) for name, values in ratios.items()}


def main() -> None:
    """Measure, and store or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--least", type=float, default=0.7, help="share of the stored ratio that must be reached")
    parser.add_argument("--store", action="store_true")
    given = parser.parse_args()
    if not (given.store or BASELINE.exists()):
        sys.exit(f"there is no {BASELINE.name} to compare with: make one with --store on the checkout to compare with.")
    now = measure(given.rounds)
    if given.store:
        BASELINE.write_text(json.dumps(now, indent=1) + "\n")
        return
    stored = json.loads(BASELINE.read_text())
    for name, ratio in now.items():
        print(f"{name:12} {ratio / stored[name]:.2f} of the stored ratio")
    sys.exit(any(ratio < given.least * stored[name] for name, ratio in now.items()))


if __name__ == "__main__":
    main()
