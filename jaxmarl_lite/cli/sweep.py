"""The word of the command that searches for settings."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from jaxmarl_lite.cli import console, options
from jaxmarl_lite.core.errors import RunError, SettingError
from jaxmarl_lite.core.settings import require_int
from jaxmarl_lite.learners.hyper import leaf_names
from jaxmarl_lite.learners.presets import preset
from jaxmarl_lite.tuning.family import ENV
from jaxmarl_lite.tuning.settings import SweepPlan
from jaxmarl_lite.tuning.space import Range

if TYPE_CHECKING:
    from jaxmarl_lite.tuning.sweep import SweepResult

SHOWN_TRIALS = 10


@dataclass(frozen=True)
class Start:
    """Where a sweep begins and where it is written."""

    seed: int = 0
    """of the random key that the whole sweep follows from"""
    out: Path = Path("runs/sweep")
    """folder to write; where it holds this very sweep, only what is missing is done"""
    overwrite: bool = False
    """replace the run or sweep that the folder holds"""
    json: bool = False
    """print the sweep's summary as JSON instead of a table"""


def sweep(args: list[str]) -> None:
    """Sweep ALGO ENV."""
    given = options.parse_learner(sweep_command, args, "jaxmarl-lite sweep")

    import jax

    from jaxmarl_lite.environments.registry import make
    from jaxmarl_lite.training.placement import offer_cores
    from jaxmarl_lite.tuning import sweep as tuning

    offer_cores(given.plan.devices)
    require_int("seed", given.start.seed, low=0, high=2**32 - 1)
    of_learner, fixed = _told_apart(vars(given.learner))
    of_env, env_settings = _told_apart(options.chosen_settings(given.env))
    env = make(given.env_name, **env_settings)
    learner = dataclasses.replace(preset(given.algo), **fixed).build(given.algo)
    space = {**of_learner, **{f"{ENV}{name}": text for name, text in of_env.items()}}
    key, start = jax.random.key(given.start.seed), given.start
    with console.SweepLine() as line:
        result = tuning.sweep(
            learner, env, key, space=space, out=start.out, overwrite=start.overwrite, callbacks=(line,),
            **vars(given.plan),
        )  # fmt: skip
    report(result, start.out, start.json)


def resume(given: options.Resume) -> None:
    """Resume RUN, where it is a sweep."""
    from jaxmarl_lite.tuning.sweep import resume_sweep

    if not (given.steps is given.devices is given.track is None):
        raise SettingError("a sweep goes on as it was begun: leave out --steps, --devices and --track.")
    with console.SweepLine() as line:
        result = resume_sweep(given.run, callbacks=(line,))
    report(result, given.run, given.json)


def sweep_command(algo: str, env: str) -> type:
    """Return the dataclass of `sweep ALGO ENV`, in which every float setting may be a range.

    Raises SettingError on an unknown name.
    """
    text = (
        f"Search for settings of {algo} in {env}: every float setting takes a number or a range, low:high, "
        "log:low:high or a,b,c. Example: jaxmarl-lite sweep ippo mpe/simple_spread --lr log:1e-4:1e-2 --entropy 0:0.05 "
        "--trials 64 --seeds 4 --steps 1e6 --out runs/sweep"
    )
    plan, learner = SweepPlan(steps=options.DEFAULT_STEPS), preset(algo)
    parts = {"plan": plan, "start": Start(), "learner": _with_ranges(learner, leaf_names(learner))}
    return options.learner_command("Sweep", text, algo, env, of_env=_number_or_range, **parts)


def report(result: "SweepResult", out: Path, as_json: bool) -> None:
    """Show what a sweep found, and draw it."""
    from jaxmarl_lite.training.folder import BEST, SCATTER
    from jaxmarl_lite.view.scatter import draw_trials

    summary = result.summary
    title = f"{summary['algo']} in {summary['env']}, {summary['trials']} trials of {summary['seeds']} seed(s)"
    try:
        draw_trials(result.trials, summary["is_log"], out / SCATTER, title)
    except RunError as error:
        console.say(f"warning: no picture was drawn: {error}")
    if as_json:
        console.show_json({**summary, "written_to": str(out)})
        return
    names = list(result.trials[0]["settings"])
    rows = [
        [f"{row['trial']}", *(f"{row['settings'][name]:g}" for name in names), *_figures(row)] for row in result.trials
    ]
    note = f"{summary['diverged']} diverged. Train the best by `jaxmarl-lite train --config {out / BEST}`."
    console.show_grid(title, ["trial", *names, "return", "95 %", "env steps"], rows[:SHOWN_TRIALS], note)


def _figures(row: dict[str, Any]) -> list[str]:
    score, interval = row["return_sum"], row["return_sum_ci95"]
    between = "" if interval is None else f"{interval[0]:.2f} to {interval[1]:.2f}"
    return ["diverged" if score is None else f"{score:.2f}", between, f"{row['env_steps']:,}"]


def _told_apart(settings: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the ranges among settings, as they were written, and the rest."""
    ranges = {name: value.text for name, value in settings.items() if isinstance(value, Range)}
    return ranges, {name: value for name, value in settings.items() if name not in ranges}


def _with_ranges(settings: Any, names: tuple[str, ...]) -> Any:
    """Return a dataclass with the fields of `settings` as defaults, of which those named may be ranges."""
    helps, fields = options.attribute_docs(type(settings)), []
    for field in dataclasses.fields(settings):
        kind = _number_or_range(field.name) if field.name in names else field.type
        described = tyro.conf.arg(help=helps.get(field.name, ""))
        fields.append((field.name, Annotated[kind, described], getattr(settings, field.name)))
    return dataclasses.make_dataclass(type(settings).__name__, fields, frozen=True)()


def _number_or_range(name: str) -> Any:
    def read(args: list[str]) -> Any:
        try:
            return float(args[0])
        except ValueError:
            return None if args[0] == "None" else Range.parse(name, args[0])

    return Annotated[
        Any,
        tyro.constructors.PrimitiveConstructorSpec(
            nargs=1,
            metavar="FLOAT|RANGE",
            instance_from_str=read,
            is_instance=lambda value: True,
            str_from_instance=lambda value: [value.text if isinstance(value, Range) else str(value)],
        ),
    ]
