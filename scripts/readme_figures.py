"""Make the pictures of README.md and of the documentation from nothing, by the project's own commands.

python scripts/readme_figures.py --runs runs/figures

Trains four algorithms in spread, four seeds each, a million steps of each seed, on one device: some ten minutes on a
core that does nothing else. A run that is there already is not made again, one that was stopped goes on. The picture of
speeds is drawn from benchmarks/results/versus.json, and nothing is timed anew.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Env, TimeStep
from jaxmarl_lite.environments.registry import envs, make
from jaxmarl_lite.view.canvas import new_figure, save_figure
from jaxmarl_lite.view.episode import Frame, play_episode
from jaxmarl_lite.view.pictures import draw_frames

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
SPREAD = "mpe/simple_spread"
ALGOS = ("ippo", "mappo", "ia2c", "coma")
MOMENT = 12  # step of random play at which a world is drawn
DPI = 55  # of the picture of a world, which is 4 inches wide
# Worlds that stand in a row, with a name for people.
IN_A_ROW = {
    "mpe/simple_tag": "tag",
    "mpe/simple_world_comm": "world_comm",
    "lbf/foraging": "foraging",
    "rware/warehouse": "warehouse",
    "butterfly/pistonball": "pistonball",
    "grid/predator_prey": "grid hunt",
}
LIBRARIES = {"jaxmarl_lite": "jaxmarl_lite", "jaxmarl": "JaxMARL 0.2.0", "vmas": "VMAS 1.5.2", "mpe2": "mpe2 1.1.1"}


def main() -> None:
    """Make all pictures, and say how long that took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/figures"), help="folder of the runs to draw")
    runs, began = parser.parse_args().runs, time.monotonic()
    PICTURES.mkdir(parents=True, exist_ok=True)
    draw_worlds()
    draw_speeds()
    draw_runs([trained(algo, runs / algo) for algo in ALGOS])
    for picture in sorted(PICTURES.rglob("*.*")):
        print(f"{picture.relative_to(ROOT)}: {picture.stat().st_size / 1e3:.0f} kB")
    print(f"{time.monotonic() - began:.0f} s in all")


def command(*words: object) -> None:
    """Run a command of the project as a user would."""
    subprocess.run([sys.executable, "-m", "jaxmarl_lite", *map(str, words)], check=True)


def trained(algo: str, folder: Path) -> Path:
    """Return the folder of a finished run in spread."""
    if not folder.exists():
        command("train", algo, SPREAD, "--steps", 1e6, "--seeds", 4, "--devices", 1, "--out", folder)
    elif not (folder / "summary.json").exists():
        command("resume", folder)
    return folder


def draw_runs(runs: list[Path]) -> None:
    """Draw what was learnt: curves, and episodes of the first run."""
    command("plot", *runs, "--out", runs[0].parent / "curves.png")
    shutil.copy(runs[0].parent / "curves.png", PICTURES)
    command("render", runs[0], "--episodes", 3, "--out", PICTURES / "spread.gif")
    command("render", runs[0], "--episodes", 1, "--columns", 6, "--out", PICTURES / "strip.png")


def draw_worlds() -> None:
    """Draw a moment of random play in every world that can be drawn, and some of them in a row."""
    folder = PICTURES / "environments"
    folder.mkdir(exist_ok=True)
    figure, panels = new_figure(2.1 * len(IN_A_ROW), 2.4, 1, len(IN_A_ROW))
    for name in envs():
        env: Any = make(name, **({"payoff": [[[1.0, 0.0], [2.0, 3.0]]] * 2} if name == "matrix/game" else {}))
        if hasattr(env, "draw"):
            episode = play_episode(env, RandomPolicy(env), jax.random.key(3))
            frame = episode[min(MOMENT, len(episode) - 1)]
            save_world(env, frame, folder / f"{name.replace('/', '-')}.png")
            if name in IN_A_ROW:
                panel = panels[0, list(IN_A_ROW).index(name)]
                env.draw(panel, frame.state, frame.step)
                panel.set_title(IN_A_ROW[name], fontsize=11)
                panel.set(xticks=[], yticks=[], xlabel="", ylabel="")
    save_figure(figure, PICTURES / "worlds.png")


def save_world(env: Env, frame: Frame, path: Path) -> None:
    """Draw one moment into a small picture."""
    (picture,) = draw_frames(env, [frame], dpi=DPI)
    picture.image.quantize(64).save(path, optimize=True)


class RandomPolicy:
    """Uniform play of what is legal, without memory."""

    def __init__(self, env: Env) -> None:
        self.spec = env.spec

    def __call__(self, key: Array, ts: TimeStep, carry: None) -> tuple[Array, None]:
        """Return a joint action."""
        if self.spec.is_discrete:
            return jax.random.categorical(key, jnp.where(ts.legal, 0.0, -jnp.inf)).astype(jnp.int32), None
        low, high = self.spec.action_range
        return jax.random.uniform(key, ts.legal.shape, minval=low, maxval=high), None


def draw_speeds() -> None:
    """Draw steps a second of spread with three agents against the number of environments, library by library."""
    measured = json.loads((ROOT / "benchmarks" / "results" / "versus.json").read_text())
    rows = [row for row in measured["rows"] if row["num_agents"] == 3]
    figure, axes = new_figure(7.0, 3.8)
    sizes = sorted({row["num_envs"] for row in rows})
    for number, (library, label) in enumerate(LIBRARIES.items()):
        best = {}
        for row in rows:
            if row["library"].split(",")[0] == library:
                size, speed = row["num_envs"], row["env_steps_per_second"]
                best[size] = max(speed, best.get(size, 0.0))
        axes.plot(list(best), list(best.values()), color=f"C{number}", marker="o", lw=2.0, label=label)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.set(xlabel="environments", ylabel="environment steps a second")
    axes.set_title(f"Random play in spread, three agents, {measured['cores']} processor cores", fontsize=11)
    axes.grid(color="0.9")
    axes.legend(loc="upper left", fontsize=9)
    save_figure(figure, PICTURES / "speed.png")


if __name__ == "__main__":
    main()
