"""Compiling, timed apart from running and remembered between processes."""

import hashlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax


def enable_cache() -> None:
    """Keep compiled programs in a folder of the user, unless JAX was already given one.

    The environment variable JAX_COMPILATION_CACHE_DIR, or JAX's own option, chooses another folder.
    """
    if getattr(jax.config, "jax_compilation_cache_dir", None) is None:
        jax.config.update("jax_compilation_cache_dir", str(_cache_folder()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


class Stopwatch:
    """Seconds spent before a program can run: in tracing and lowering it, and in compiling or fetching it."""

    def __init__(self) -> None:
        self.trace_seconds = 0.0
        self.compile_seconds = 0.0
        self.programs: list[str] = []
        """a digest of each program: equal ones are compiled once, and then fetched"""

    def compiled(
        self, function: Callable[..., Any], *args: Any, donate: tuple[int, ...] = (), once: bool = False
    ) -> Any:
        """Return `function` compiled for arguments of these shapes; the time it takes is added up here.

        What runs `once` is compiled to a slower program in less time.
        """
        begin = time.perf_counter()
        lowered = jax.jit(function, donate_argnums=donate).lower(*args)
        middle = time.perf_counter()
        self.programs.append(hashlib.sha256(lowered.as_text().encode()).hexdigest()[:12])
        program = lowered.compile(_compiler_options(once))
        self.trace_seconds += middle - begin
        self.compile_seconds += time.perf_counter() - middle
        return program


def _compiler_options(once: bool) -> dict[str, Any]:
    """Return what the compiler is told beside the program.

    Optimising the first state of a run takes longer than making it: IA2C in foraging is compiled in 2.4 s instead of
    5.7.

    On a CPU XLA shares out large loops and products among all threads; where every core is a device of its own, all
    threads are busy. Sharing loops costs up to a seventh then (PQN with layers of 256 on two cores), and sharing
    products up to half (MADDPG with layers of 256 and 192 columns: 1,180 steps/s, 2,260 without).
    """
    if jax.default_backend() != "cpu":
        return {}
    quick = {"xla_backend_optimization_level": 0} if once else {}
    if jax.device_count() == 1:
        return quick
    return {"xla_disable_hlo_passes": "cpu-parallel-task-assigner", "xla_cpu_multi_thread_eigen": False, **quick}


def _cache_folder() -> Path:
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".cache")
    return base / "jaxmarl_lite" / "compiled"
