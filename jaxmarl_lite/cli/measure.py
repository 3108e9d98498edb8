"""The words of the command that measure: bench and profile."""

import dataclasses
from pathlib import Path
from typing import Any

from jaxmarl_lite.cli import console, options
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_known

BENCH_USAGE = """\
usage: jaxmarl-lite bench env ENV [--num-envs N] [--sweep [N ...]] [--out PNG] [--json]
       jaxmarl-lite bench train ALGO ENV [--num-envs N] [--sweep [N ...]] [--out PNG] [--json]

Each takes --help.
"""


def bench(args: list[str]) -> None:
    """Bench env ENV, or bench train ALGO ENV."""
    if not args or args[0] in ("-h", "--help"):
        console.stdout.print(BENCH_USAGE, highlight=False, soft_wrap=True, end="")
        return
    require_known("benchmark", args[0], BENCHMARKS)
    BENCHMARKS[args[0]](args[1:])


def bench_env(args: list[str]) -> None:
    """Bench env ENV."""
    named = bool(args) and not args[0].startswith("-")
    command = options.bench_env_command(args[0] if named else options.DEFAULT_ENV)
    given = options.parse(command, args, "jaxmarl-lite bench env")

    from jaxmarl_lite.bench.stepping import measure_stepping
    from jaxmarl_lite.bench.sweep import sizes_of
    from jaxmarl_lite.environments.registry import make
    from jaxmarl_lite.training.placement import offer_cores

    chosen = given.bench
    offer_cores(chosen.devices)
    env = make(given.env_name, **options.chosen_settings(given.env))
    sizes = sizes_of(chosen.sweep, chosen.num_envs)
    _check_picture(chosen.out)
    points = [
        measure_stepping(env, num_envs=size, steps=chosen.steps, repeats=chosen.repeats, devices=chosen.devices)
        for size in console.tracked(sizes, "stepping {:,} environments".format)
    ]
    _show_points(f"random play in {given.env_name}", {"env": given.env_name}, points, chosen)


def bench_train(args: list[str]) -> None:
    """Bench train ALGO ENV."""
    given = options.parse_learner(options.bench_train_command, args, "jaxmarl-lite bench train")

    import jax

    from jaxmarl_lite.bench.learning import measure_training
    from jaxmarl_lite.bench.sweep import sizes_of
    from jaxmarl_lite.environments.registry import make
    from jaxmarl_lite.training.placement import offer_cores

    chosen = given.bench
    offer_cores(chosen.devices)
    env = make(given.env_name, **options.chosen_settings(given.env))
    learners, refused = _learners(given, sizes_of(chosen.sweep, given.learner.num_envs))
    _check_picture(chosen.out)
    sizes = {name: getattr(chosen, name) for name in ("updates", "repeats", "seeds", "devices")}
    points = [
        measure_training(learner, env, jax.random.key(0), **sizes)
        for learner in console.tracked(learners, lambda learner: f"training in {learner.settings.num_envs:,}")
    ]
    about = {"algo": given.algo, "env": given.env_name, **({"refused": refused} if refused else {})}
    _show_points(f"{given.algo} in {given.env_name}, {chosen.seeds} seed(s)", about, points, chosen)


def profile(args: list[str]) -> None:
    """Profile ALGO ENV."""
    given = options.parse_learner(options.profile_command, args, "jaxmarl-lite profile")

    import jax

    from jaxmarl_lite.bench.profile import profile
    from jaxmarl_lite.environments.registry import make
    from jaxmarl_lite.training.compilation import enable_cache
    from jaxmarl_lite.training.machine import machine
    from jaxmarl_lite.training.placement import offer_cores

    enable_cache()
    chosen = given.profile
    offer_cores(1)  # what a phase costs is told of one device
    env, learner = make(given.env_name, **options.chosen_settings(given.env)), given.learner.build(given.algo)
    sizes = {"seeds": chosen.seeds, "repeats": chosen.repeats, "trace": chosen.trace}
    with console.working(f"profiling {given.algo} in {given.env_name}"):
        measured = profile(learner, env, jax.random.key(0), **sizes)
    figures = {"algo": given.algo, "env": given.env_name, **measured, **machine()}
    if chosen.json:
        console.show_json(figures)
    else:
        _show_phases(figures)
    if figures["trace"]:
        console.say(f"wrote {figures['trace']}; https://ui.perfetto.dev opens it")


BENCHMARKS = {"env": bench_env, "train": bench_train}


def _learners(given: Any, sizes: list[int]) -> tuple[list[Any], dict[int, str]]:
    """Return a learner for every size that the settings allow, and what they say to the others."""
    learners, refused = [], {}
    for size in sizes:
        try:
            learners.append(dataclasses.replace(given.learner, num_envs=size).build(given.algo))
        except SettingError as error:
            refused[size] = str(error)
    if not learners:
        raise SettingError(next(iter(refused.values())))
    return learners, refused


def _check_picture(out: Path | None) -> None:
    # Before anything is measured: a sweep takes minutes.
    if out is not None:
        from jaxmarl_lite.view.canvas import check_picture

        check_picture(out)


def _show_points(title: str, about: dict[str, Any], points: list[dict[str, Any]], chosen: Any) -> None:
    from jaxmarl_lite.training.machine import machine

    is_sweep = chosen.sweep is not None
    figures = {**about, **({"points": points} if is_sweep else points[0]), **machine()}
    if chosen.json:
        console.show_json(figures)
    elif is_sweep:
        columns = ["environments", "compile s", "steps/s", "min", "max", *points[0].get("phases", ())]
        console.show_grid(f"{title}, {figures['device']}", columns, [_point_row(point) for point in points])
    else:
        shares = {f"share of {name}": f"{part['share']:.1%}" for name, part in figures.pop("phases", {}).items()}
        console.show_table(title, {**figures, **shares})
    for size, reason in about.get("refused", {}).items():
        console.say(f"left out num_envs={size}: {reason}")
    if chosen.out is not None:
        from jaxmarl_lite.view.speed import draw_speeds

        draw_speeds(points, chosen.out, title)
        console.say(f"wrote {chosen.out}")


def _point_row(point: dict[str, Any]) -> list[str]:
    speeds = (point[f"env_steps_per_second{part}"] for part in ("", "_min", "_max"))
    shares = (f"{part['share']:.0%}" for part in point.get("phases", {}).values())
    return [f"{point['num_envs']:,}", f"{point['compile_seconds']:.1f}", *(f"{x:,.0f}" for x in speeds), *shares]


def _show_phases(figures: dict[str, Any]) -> None:
    columns = ["phase", "ms", "time", "MFLOP", "of peak", "MB moved", "of copy", "MB held", "kernels", "main loop"]
    rows = [[name, *_phase_row(phase)] for name, phase in figures["phases"].items()]
    peak, per_step = figures["peak"], figures["kernels_per_env_step"]
    note = (
        f"Peak: {peak['product_flops_per_second'] / 1e9:,.1f} GFLOP/s, in a float32 matrix product; "
        f"copy: {peak['copy_bytes_per_second'] / 1e9:,.1f} GB/s, in memory (caches are faster). "
        "Figures are of one call, loops counted as often as they turn; the last column is turns x kernels of each. "
        f"A step of {figures['num_envs']:,} environments takes "
        f"{'an unknown number of' if per_step is None else f'{per_step:,.1f}'} kernels."
    )
    title = f"{figures['algo']} in {figures['env']}, {figures['seeds']} seed(s), {figures['device']}"
    console.show_grid(title, columns, rows, note)


def _phase_row(phase: dict[str, Any]) -> list[str]:
    loop = phase["main_loop"]
    return [
        _short(phase["seconds"] * 1e3),
        f"{phase['share']:.0%}",
        _short(phase["flops"] / 1e6),
        f"{phase['of_product_peak']:.1%}",
        _short(phase["bytes"] / 1e6),
        f"{phase['of_copy_bandwidth']:.1%}",
        _short(phase["peak_memory_bytes"] / 1e6),
        f"{phase['kernels_run']:,}",
        f"{loop['turns']:,}x{loop['kernels_per_turn']:.0f}" if loop else "",
    ]


def _short(number: float) -> str:
    return f"{number:,.{2 if number < 10 else 1 if number < 100 else 0}f}"
