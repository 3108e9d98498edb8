"""Recording which kernels run."""

import gzip
import json
from collections import Counter

import jax
import jax.numpy as jnp
import pytest

from jaxmarl_lite.bench.cost import cost, is_kernel, main_loop
from jaxmarl_lite.bench.hlo import parse
from jaxmarl_lite.bench.trace import record
from jaxmarl_lite.core.errors import RunError


@pytest.fixture(scope="module")
def chain(full_compilation):
    """Seven turns of a matrix product and what follows, compiled."""

    def chain(x):
        return jax.lax.scan(lambda x, _: (jnp.tanh(x @ x), None), x, None, length=7)[0]

    return jax.jit(chain).lower(jnp.eye(64)).compile(full_compilation)


@pytest.fixture(scope="module")
def x():
    """A matrix that is there: what makes it would be recorded too."""
    return jnp.eye(64).block_until_ready()


def test_as_many_kernels_run_as_the_program_says(chain, x):
    runs, file = record(lambda: chain(x).block_until_ready())
    program = parse(chain.as_text())
    known = {one.name: one for inside in program.computations.values() for one in inside.values()}
    assert file is None
    assert {run.program for run in runs} == {"jit_chain"}
    assert all(run.seconds >= 0 for run in runs)
    counts = Counter(run.name for run in runs if is_kernel(known[run.name]))
    assert counts.total() == cost(program).kernels
    loop = main_loop(program)
    assert {count for name, count in counts.items() if name in loop.names} == {loop.turns} == {7}


def test_two_calls_run_twice_as_many(chain, x):
    once, _ = record(lambda: chain(x).block_until_ready())
    twice, _ = record(lambda: [chain(x).block_until_ready() for _ in range(2)])
    assert len(twice) == 2 * len(once)


def test_a_trace_is_left_for_perfetto(chain, x, tmp_path):
    _, file = record(lambda: chain(x).block_until_ready(), tmp_path / "new" / "traces")
    with gzip.open(file, "rt") as text:
        assert any("while" in event.get("name", "") for event in json.load(text)["traceEvents"])


def test_a_folder_that_cannot_be_made_is_a_failure_that_names_it(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match="file cannot be written"):
        record(lambda: None, tmp_path / "file")
