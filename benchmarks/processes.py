"""Measuring in processes of their own, in turns, so that a noisy machine disturbs all alike."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
OURS = "jaxmarl_lite"
Command = list[str]


def ours(*words: object) -> Command:
    """Return the command of this library, as a user would type it, that prints JSON."""
    return [sys.executable, "-m", "jaxmarl_lite", *map(str, words), "--json"]


def peer(*words: object, script: str = "peers.py", python: str = sys.executable) -> Command:
    """Return the command that measures another library, which may need a Python of its own."""
    return [python, str(HERE / script), *map(str, words)]


def run_json(command: Command, threads: str = "all") -> dict:
    """Run a command and return the last JSON object that it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "NPROC"}
    if threads != "all":
        environment["NPROC"] = threads  # the number of XLA's threads
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed with status {done.returncode}")
    text = done.stdout
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return json.loads(text.strip().splitlines()[-1])


def in_turns(
    commands: dict[str, tuple[Command, str]], rounds: int, read: Callable[[dict], dict] = lambda figures: figures
) -> dict[str, dict]:
    """Run all commands `rounds` times in turn; returns for each its figures, speeds being medians over the rounds.

    `read` makes figures of what a command prints.
    """
    runs: dict[str, list[dict]] = {name: [] for name in commands}
    for number in range(rounds):
        for name, (command, threads) in commands.items():
            runs[name].append(read(run_json(command, threads)))
            print(f"round {number + 1}: {name:30} {runs[name][-1]['env_steps_per_second']:14,.0f}", file=sys.stderr)
    return {name: _median(figures) for name, figures in runs.items()}


def _median(figures: list[dict]) -> dict:
    speeds = [run["env_steps_per_second"] for run in figures]
    compiling = [run.get("trace_seconds", 0.0) + run.get("compile_seconds", 0.0) for run in figures]
    return {
        "env_steps_per_second": statistics.median(speeds),
        "env_steps_per_second_min": min(speeds),
        "env_steps_per_second_max": max(speeds),
        "seconds_to_compile": statistics.median(compiling),
        "rounds": len(speeds),
        "devices": figures[0].get("devices", 1),
    }


def beside_peers(figures: dict[str, dict], **work: object) -> list[dict]:
    """Print how fast each library was at this work, and return that as rows, with our speed over theirs."""
    ours_at = figures[OURS]["env_steps_per_second"]
    told = "".join(f"{name}={value!s:<8}" for name, value in work.items())
    rows = []
    for name, values in figures.items():
        speed = values["env_steps_per_second"]
        print(f"{told}{name:22}{speed:12,.0f} env steps/s  ours is x {ours_at / speed:.1f}", flush=True)
        rows.append({"library": name, **work, **values, "ours_is": ours_at / speed})
    return rows


def write(path: Path | None, benchmark: str, rows: list[dict]) -> None:
    """Write rows as JSON, with the machine described."""
    about = run_json([sys.executable, "-c", _MACHINE])
    result = {"benchmark": benchmark, "cores": os.cpu_count(), **about, "rows": rows}
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1) + "\n")


_MACHINE = """
import importlib.metadata as m, json
from jaxmarl_lite.training.machine import machine
about = machine()
for name in ("jaxmarl", "vmas", "torch", "mpe2", "benchmarl", "torchrl", "jumanji"):
    try:
        about["versions"][name] = m.version(name)
    except m.PackageNotFoundError:
        pass
print(json.dumps(about))
"""
