"""Searching for settings as one program, and as `train` commands one after another: the same trials, in turns.

    python benchmarks/sweep_speed.py --out benchmarks/results/sweep_speed.json

Both are timed from the outside, as a user waits: starting Python, tracing, compiling, training, evaluating and writing.
The commands find their compiled programs in the user's cache, as does the sweep after its first round; where settings
differ in floats alone, all trials have the same programs.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from processes import ours, run_json, write

SPACE = ("--lr", "log:1e-4:1e-2", "--entropy", "0:0.05")


def sweep_seconds(work: tuple, trials: int, folder: str) -> tuple[float, list[dict]]:
    """Return the seconds that a sweep takes, and the settings that it tried."""
    begin = time.perf_counter()
    run_json(ours("sweep", *work, *SPACE, "--trials", trials, "--out", folder))
    seconds = time.perf_counter() - begin
    lines = (Path(folder) / "trials.jsonl").read_text().splitlines()
    return seconds, [json.loads(line)["settings"] for line in lines]


def processes_seconds(work: tuple, settings: list[dict], folder: str) -> float:
    """Return the seconds that a `train` command for each of these settings takes."""
    begin = time.perf_counter()
    for number, values in enumerate(settings):
        words = [word for name, value in values.items() for word in (f"--{name}", value)]
        run_json(ours("train", *work, *words, "--out", f"{folder}/{number}"))
    return time.perf_counter() - begin


def main() -> None:
    """Run the comparison, print its table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=float, default=1e5, help="environment steps of a trial")
    parser.add_argument("--algo", default="ippo")
    parser.add_argument("--env", default="mpe/simple_spread")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    given = parser.parse_args()
    work = (given.algo, given.env, "--steps", given.steps, "--seeds", given.seeds)
    rows = []
    for number in range(given.rounds):
        with tempfile.TemporaryDirectory() as folder:
            together, settings = sweep_seconds(work, given.trials, f"{folder}/sweep")
            alone = processes_seconds(work, settings, folder)
        row = {"round": number + 1, "trials": given.trials, "seeds": given.seeds, "steps": given.steps}
        rows.append({**row, "sweep_seconds": together, "processes_seconds": alone, "sweep_is": alone / together})
        print(
            f"round {number + 1}: sweep {together:.1f} s, processes {alone:.1f} s: x {alone / together:.1f}", flush=True
        )
        write(given.out, "sweep_speed", rows)


if __name__ == "__main__":
    main()
