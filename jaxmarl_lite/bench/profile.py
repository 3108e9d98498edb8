"""What each phase of a learner costs, and how that compares with what the machine can do."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxmarl_lite.bench.cost import cost, is_kernel, kernels_in, main_loop
from jaxmarl_lite.bench.hlo import Instruction, Program, parse
from jaxmarl_lite.bench.learning import checked_steps
from jaxmarl_lite.bench.peak import copy_bandwidth, product_peak
from jaxmarl_lite.bench.phases import compile_phases, step_in_phases, time_phases, with_shares
from jaxmarl_lite.bench.timing import spread
from jaxmarl_lite.bench.trace import KernelRun, make_folder, record
from jaxmarl_lite.core.env import Env, Key
from jaxmarl_lite.learners.learner import Learner
from jaxmarl_lite.learners.replicate import replicate
from jaxmarl_lite.training.compilation import Stopwatch

SLOWEST = 10


def profile(
    learner: Learner, env: Env, key: Key, *, seeds: int = 1, repeats: int = 20, trace: Path | None = None
) -> dict[str, Any]:
    """Return for each phase its time, arithmetic, traffic, memory and kernels, and what the machine does at best.

    Arithmetic and traffic are counted in the compiled program, loops as often as they turn; `xla_flops` and
    `xla_bytes` are XLA's own figures, which count the body of a loop once. Kernels are those that ran in one step,
    recorded after `repeats` timed ones. With `trace`, the recording is left in that folder for Perfetto.

    Raises SettingError on a count that is not a positive integer or an environment that the learner cannot learn in,
    RunError if the trace cannot be written.
    """
    steps = checked_steps(learner, env, repeats, seeds) // (learner.settings.num_envs * seeds)
    if trace is not None:
        make_folder(trace)  # before anything is measured
    many, watch = replicate(learner, seeds), Stopwatch()
    state = Stopwatch().compiled(many.init, key, env, once=True)(key, env)
    programs, state = compile_phases(many, env, state, watch)
    _, state = time_phases(programs, state, env, learner.settings.idle_updates)
    seconds, state = time_phases(programs, state, env, repeats)
    runs, file = record(lambda: step_in_phases(programs, state, env), trace)
    peak = {"product_flops_per_second": product_peak(), "copy_bytes_per_second": copy_bandwidth()}
    phases = {name: _figures(name, programs[name], values, runs, peak) for name, values in seconds.items()}
    for name, part in with_shares({name: figures["seconds"] for name, figures in phases.items()}).items():
        phases[name] = {"share": part["share"], **phases[name]}
    # The phase that takes the state is the one that steps the environments.
    loop = next(iter(phases.values()))["main_loop"]
    return {
        "num_envs": learner.settings.num_envs,
        "seeds": seeds,
        "repeats": repeats,
        "trace_seconds": watch.trace_seconds,
        "compile_seconds": watch.compile_seconds,
        "peak": peak,
        "kernels_per_env_step": loop["kernels_per_turn"] if loop and loop["turns"] == steps else None,
        "phases": phases,
        "trace": None if file is None else str(file),
    }


def _figures(
    name: str, compiled: Any, seconds: Sequence[float], runs: list[KernelRun], peak: dict[str, float]
) -> dict[str, Any]:
    program = parse(compiled.as_text())
    counted, by_xla = cost(program), compiled.cost_analysis() or {}
    figures = spread("seconds", seconds)
    flops_per_second, bytes_per_second = (x / figures["seconds"] for x in (counted.flops, counted.bytes))
    memory = compiled.memory_analysis()
    return {
        **figures,
        "flops": counted.flops,
        "product_flops": counted.product_flops,
        "flops_per_second": flops_per_second,
        "of_product_peak": flops_per_second / peak["product_flops_per_second"],
        "bytes": counted.bytes,
        "bytes_per_second": bytes_per_second,
        "of_copy_bandwidth": bytes_per_second / peak["copy_bytes_per_second"],
        "xla_flops": by_xla.get("flops"),
        "xla_bytes": by_xla.get("bytes accessed"),
        "loops_of_unknown_length": int(counted.unknown_loops),
        "peak_memory_bytes": memory.temp_size_in_bytes
        + memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes,
        "kernels_in_program": kernels_in(program),
        **_kernels(program, [run for run in runs if run.program == f"jit_{name}"]),
    }


def _kernels(program: Program, runs: list[KernelRun]) -> dict[str, Any]:
    """Return how many kernels ran, how many of them in each turn of the main loop, and which took longest."""
    known = {one.name: one for inside in program.computations.values() for one in inside.values()}
    times = defaultdict[str, float](float)
    counts = Counter[str]()
    for run in runs:
        if run.name in known and is_kernel(known[run.name]):
            times[run.name] += run.seconds
            counts[run.name] += 1
    loop = main_loop(program)
    looped = sum(count for name, count in counts.items() if loop and name in loop.names)
    slowest = sorted(times, key=lambda name: -times[name])[:SLOWEST]
    return {
        "kernels_run": counts.total(),
        "main_loop": {"turns": loop.turns, "kernels_per_turn": looped / (loop.turns * loop.calls)} if loop else None,
        "slowest_kernels": [
            {"name": name, "runs": counts[name], "seconds": times[name], **_about(known[name])} for name in slowest
        ],
    }


def _about(kernel: Instruction) -> dict[str, Any]:
    result = [f"{shape.dtype}[{','.join(map(str, shape.dims))}]" for shape in kernel.shapes]
    return {"result": " ".join(result), "from": kernel.origin}
