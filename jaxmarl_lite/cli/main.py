"""The command `jaxmarl-lite`: each of its words is a function here."""

import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import jaxmarl_lite
from jaxmarl_lite.cli import compare, console, measure, options, see, sweep
from jaxmarl_lite.core.errors import RunError, SettingError
from jaxmarl_lite.core.settings import require_int, require_known
from jaxmarl_lite.training.plan import read_settings

USAGE_ERROR, FAILURE, INTERRUPTED = 2, 1, 130

OVERVIEW = """\
jaxmarl-lite trains, evaluates, draws and times teams of agents in JAX.

  jaxmarl-lite train ALGO ENV   train, and leave a folder with curve, figures and checkpoints
  jaxmarl-lite resume RUN       go on with a run as if it had never stopped
  jaxmarl-lite eval RUN         play complete episodes with a trained team
  jaxmarl-lite render RUN       show episodes of a trained team: as a GIF, a PNG, or a page that replays them
  jaxmarl-lite plot RUN...      draw runs beside one another: learning curves, scores, choices in games
  jaxmarl-lite sweep ALGO ENV   search for settings: many trials as one program
  jaxmarl-lite compare SUITE    train algorithms x tasks x seeds of a file, and report how they compare
  jaxmarl-lite bench env ENV    measure how fast an environment steps
  jaxmarl-lite bench train ALGO ENV
                                measure how fast a learner trains, and where the time goes
  jaxmarl-lite profile ALGO ENV
                                show what each phase of a learner costs, and what the machine could do
  jaxmarl-lite list             list environments and algorithms

Each takes --help. To begin with:

  jaxmarl-lite train ippo mpe/simple_spread --steps 2e6 --out runs/first
  jaxmarl-lite render runs/first --out spread.html
"""


def main(args: list[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 2 for wrong usage, 1 for failure."""
    args = sys.argv[1:] if args is None else args
    warnings.showwarning = lambda message, *_, **__: console.say(f"warning: {message}")
    if not args or args[0] in ("-h", "--help"):
        console.stdout.print(OVERVIEW, highlight=False, soft_wrap=True)
        return 0
    if args[0] == "--version":
        console.stdout.print(f"jaxmarl-lite {jaxmarl_lite.__version__}", highlight=False)
        return 0
    try:
        require_known("command", args[0], COMMANDS)
        COMMANDS[args[0]](args[1:])
    except SettingError as error:
        console.say(f"error: {error}")
        return USAGE_ERROR
    except RunError as error:
        console.say(f"error: {error}")
        return FAILURE
    except BrokenPipeError:  # whoever read our output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except OSError as error:
        at = f"{error.filename}: " if error.filename else ""
        console.say(f"error: {at}{error.strerror or error}.")
        return FAILURE
    except KeyboardInterrupt:
        console.say("stopped; a run in a folder goes on with `jaxmarl-lite resume`, a comparison by the same command.")
        return INTERRUPTED
    return 0


def train(args: list[str]) -> None:
    """Train ALGO ENV."""
    command, told = options.train_command, {}
    if file := options.config_in(args):
        algo, settings, env_name, told = read_settings(file)
        if not args or args[0].startswith("-"):
            args = [algo, env_name, *args]
        if args[:2] != [algo, env_name]:
            raise SettingError(f"config={str(file)!r} is of {algo} in {env_name}: name these two first, or neither.")
        command = partial(command, learner=settings, env_settings=told)
    given = options.parse_learner(command, args, "jaxmarl-lite train")

    import jax

    from jaxmarl_lite.environments.registry import make
    from jaxmarl_lite.tracking.tracker import track
    from jaxmarl_lite.training import loop
    from jaxmarl_lite.training.placement import offer_cores
    from jaxmarl_lite.view.curve import Curve

    offer_cores(given.plan.devices)
    require_int("seed", given.start.seed, low=0, high=2**32 - 1)
    env = make(given.env_name, **{**told, **options.chosen_settings(given.env)})
    learner = given.learner.build(given.algo)
    key = jax.random.key(given.start.seed)
    plan, trackers = vars(given.plan), map(track, given.start.track)
    with _folder(given.start.out, given.algo, given.env_name) as out, console.LiveLine() as line:
        watching = (line, Curve(), *trackers)
        result = loop.train(learner, env, key, out=out, overwrite=given.start.overwrite, callbacks=watching, **plan)
    _report(result, out, given.start.json)


def resume(args: list[str]) -> None:
    """Resume RUN."""
    given = options.parse(options.Resume, args, "jaxmarl-lite resume")

    from jaxmarl_lite.tracking.bookmark import remembered
    from jaxmarl_lite.tracking.tracker import track
    from jaxmarl_lite.training import loop
    from jaxmarl_lite.training.folder import SWEEP, RunFolder
    from jaxmarl_lite.training.placement import offer_cores
    from jaxmarl_lite.view.curve import Curve

    config = RunFolder.open(given.run).config()
    plan = config.get(SWEEP) or config.get("plan")
    offer_cores(given.devices or (plan.get("devices") if isinstance(plan, dict) else None))
    if SWEEP in config:
        sweep.resume(given)
        return
    trackers = map(track, remembered(given.run) if given.track is None else given.track)
    with console.LiveLine() as line:
        watching = (line, Curve(), *trackers)
        result = loop.resume(given.run, steps=given.steps, devices=given.devices, callbacks=watching)
    _report(result, given.run, given.json)


def evaluate(args: list[str]) -> None:
    """Eval RUN."""
    given = options.parse(options.Eval, args, "jaxmarl-lite eval")
    require_int("episodes", given.episodes)
    require_int("seed", given.seed, low=0, high=2**32 - 1)

    import jax

    from jaxmarl_lite.training.compilation import Stopwatch, enable_cache
    from jaxmarl_lite.training.evaluate import evaluate, summarise
    from jaxmarl_lite.training.load import load_run

    enable_cache()
    run = load_run(given.run)

    def play(params: Any, key: Any) -> Any:
        return evaluate(run.policy, params, run.env, key, episodes=given.episodes, greedy=not given.sample)

    keys = jax.random.split(jax.random.key(given.seed), run.seeds)
    program = Stopwatch().compiled(jax.vmap(play), run.params, keys)
    figures = summarise(jax.device_get(program(run.params, keys)))
    if given.json:
        console.show_json(figures)
    else:
        console.show_table(f"{given.run}: {run.seeds} seed(s) at block {run.block}", figures)


def list_names(args: list[str]) -> None:
    """List [all|envs|algos]."""
    given = options.parse(options.List, args, "jaxmarl-lite list")

    from jaxmarl_lite.environments.registry import constructor_of, envs
    from jaxmarl_lite.learners.presets import SUMMARIES, algos

    lines = {}
    if given.what in ("all", "envs"):
        lines |= {name: _first_line(constructor_of(name)) for name in envs()}
    if given.what in ("all", "algos"):
        lines |= {name: SUMMARIES[name] for name in algos()}
    width = max(map(len, lines))
    for name, text in lines.items():
        console.stdout.print(f"{name:{width}}  {text}", highlight=False, soft_wrap=True)


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "train": train,
    "resume": resume,
    "eval": evaluate,
    "render": see.render,
    "plot": see.plot,
    "sweep": sweep.sweep,
    "compare": compare.compare,
    "bench": measure.bench,
    "profile": measure.profile,
    "list": list_names,
}


def _report(result: Any, out: Path, as_json: bool) -> None:
    summary = result.summary
    if as_json:
        console.show_json({**summary, "written_to": str(out)})
        return
    shown = ("env_steps", "trace_seconds", "compile_seconds", "train_seconds", "env_steps_per_second", "device")
    console.show_table(
        f"{summary['algo']} in {summary['env']}, {summary['seeds']} seed(s)",
        {**{name: summary[name] for name in shown}, **summary["eval"], "written to": str(out)},
    )


@contextmanager
def _folder(chosen: Path | None, algo: str, env: str) -> Iterator[Path]:
    """Give the folder that was chosen, or a new one that no other process has; if nothing comes into that, it goes."""
    if chosen:
        yield chosen
        return
    path = _new_folder(algo, env)
    try:
        yield path
    finally:
        with suppress(OSError):  # it is not empty
            path.rmdir()


def _new_folder(algo: str, env: str) -> Path:
    stem = re.sub(r"[^A-Za-z0-9_]+", "-", f"{algo}-{env}")
    number = 1
    while True:
        path = Path("runs") / f"{stem}-{number}"
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return path


def _first_line(constructor: Any) -> str:
    return (constructor.__doc__ or "").strip().split("\n")[0]
