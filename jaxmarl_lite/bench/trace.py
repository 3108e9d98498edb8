"""Which kernels ran and for how long, from a recording of JAX's profiler."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxmarl_lite.core.errors import RunError


class KernelRun(NamedTuple):
    """One execution of an instruction of a compiled program; a loop's is there besides those of its body."""

    program: str
    """the compiled module, `jit_` and the function's name"""
    name: str
    """of the instruction"""
    seconds: float


def record(run: Callable[[], Any], folder: Path | None = None) -> tuple[list[KernelRun], Path | None]:
    """Call `run`, which must wait for its results, and return what ran in it.

    With `folder`, a trace that https://ui.perfetto.dev opens is left there; its path is returned too.

    Raises RunError if the folder cannot be written.
    """
    if folder is None:
        with tempfile.TemporaryDirectory() as temporary:
            return _record(run, Path(temporary), perfetto=False), None
    make_folder(folder)
    runs = _record(run, folder, perfetto=True)
    return runs, _newest(folder, "perfetto_trace.json.gz")


def make_folder(folder: Path) -> None:
    """Make the folder of a trace if there is none; raises RunError if that cannot be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder} cannot be written: {error.strerror or error}.") from None


def _record(run: Callable[[], Any], folder: Path, perfetto: bool) -> list[KernelRun]:
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0  # calls of Python functions would drown the kernels
    with jax.profiler.trace(str(folder), create_perfetto_trace=perfetto, profiler_options=options):
        run()
    return list(_runs(_newest(folder, "*.xplane.pb")))


def _runs(path: Path) -> Iterator[KernelRun]:
    for plane in jax.profiler.ProfileData.from_file(str(path)).planes:
        for line in plane.lines:
            for event in line.events:
                # Only what executes an instruction of a program names it; the rest is the runtime's own business.
                about = dict(event.stats)
                if "hlo_op" in about:
                    yield KernelRun(str(about.get("hlo_module")), str(about["hlo_op"]), event.duration_ns * 1e-9)


def _newest(folder: Path, pattern: str) -> Path:
    return max(folder.rglob(pattern), key=lambda path: path.stat().st_mtime_ns)
