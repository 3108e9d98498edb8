import jax
import jax.numpy as jnp
import pytest

from jaxmarl_lite.training import compilation
from jaxmarl_lite.training.compilation import Stopwatch, enable_cache


def test_the_stopwatch_adds_up_tracing_and_compiling_apart():
    watch = Stopwatch()
    program = watch.compiled(lambda x: x + 1.0, jnp.ones(3))
    assert program(jnp.ones(3)).tolist() == [2.0, 2.0, 2.0]
    first = (watch.trace_seconds, watch.compile_seconds)
    assert min(first) > 0.0
    watch.compiled(lambda x: x + 2.0, jnp.ones(3))
    assert watch.trace_seconds > first[0]
    assert watch.compile_seconds > first[1]


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="of XLA's CPU compiler")
@pytest.mark.parametrize(("devices", "told"), [(1, False), (2, True)])
def test_cores_that_are_devices_do_not_share_each_others_loops(monkeypatch, devices, told):
    monkeypatch.setattr(jax, "device_count", lambda: devices)
    assert bool(compilation._compiler_options(once=False)) is told
    text = Stopwatch().compiled(jnp.sin, jnp.ones((1000, 1000))).as_text()
    assert not told or "outer_dimension_partitions" not in text


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="of XLA's CPU compiler")
def test_what_runs_once_is_not_optimised_and_the_same():
    level = "xla_backend_optimization_level"
    assert compilation._compiler_options(once=True)[level] == 0
    assert level not in compilation._compiler_options(once=False)
    x = jnp.linspace(0.0, 1.0, 5)
    once, often = (Stopwatch().compiled(lambda x: x * x + 1.0, x, once=once)(x) for once in (True, False))
    assert once.tolist() == pytest.approx(often.tolist())


def test_what_is_donated_is_gone_and_the_rest_stays():
    given, kept = jnp.ones(3), jnp.ones(3)
    program = Stopwatch().compiled(lambda x, y: x + y, given, kept, donate=(0,))
    assert "input_output_alias={ {}: (0, " in program.as_text()
    assert program(given, kept).tolist() == [2.0, 2.0, 2.0]
    assert given.is_deleted()
    assert not kept.is_deleted()


def test_a_cache_that_was_chosen_is_kept(tmp_path):
    before = jax.config.jax_compilation_cache_dir
    try:
        jax.config.update("jax_compilation_cache_dir", str(tmp_path))
        enable_cache()
        assert jax.config.jax_compilation_cache_dir == str(tmp_path)
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
