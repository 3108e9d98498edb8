"""Counting what compiled programs do, on programs whose figures are known."""

import jax
import jax.numpy as jnp
import pytest

from jaxmarl_lite.bench.cost import Cost, cost, kernels_in, main_loop
from jaxmarl_lite.bench.hlo import parse

PRODUCT = 2 * 16**3  # of two matrices of 16 x 16


def program_of(function, *args):
    return parse(jax.jit(function).lower(*args).compile().as_text())


def repeated(turns, body):
    return lambda x: jax.lax.scan(lambda carry, _: (body(carry), None), x, None, length=turns)[0]


def product(x):
    return jnp.dot(x, x)


@pytest.fixture
def matrix():
    return jnp.eye(16)


@pytest.mark.parametrize(
    ("function", "products"),
    [
        (product, 1),
        (lambda x: product(product(x)), 2),
        (repeated(7, product), 7),
        (repeated(3, repeated(5, product)), 15),
        (repeated(4, lambda x: product(jnp.tanh(product(x)))), 8),
        (lambda x: jax.lax.cond(x[0, 0] > 0, product, lambda x: product(product(x)), x), 2),
        (jax.grad(lambda x: (x @ jnp.ones((16, 16))).sum()), 1),
        (jax.vmap(lambda row: row @ jnp.full((16, 16), 2.0)), 1),
        (jnp.sin, 0),
    ],
    ids=["one", "two", "scan", "nested", "beside others", "dearer branch", "gradient", "vmap", "none"],
)
def test_products_are_counted_as_often_as_they_run(matrix, function, products):
    figures = cost(program_of(function, matrix))
    assert figures.product_flops == products * PRODUCT
    assert figures.flops >= figures.product_flops
    assert figures.unknown_loops == 0


def test_a_product_of_any_shape(matrix):
    left, right = jnp.ones((3, 5, 7)), jnp.ones((3, 7, 11))
    assert cost(program_of(jnp.matmul, left, right)).product_flops == 2 * 3 * 5 * 7 * 11


def test_a_convolution():
    image, kernel = jnp.ones((2, 8, 8, 3)), jnp.ones((3, 3, 3, 5))

    def convolve(image, kernel):
        dims = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(image, kernel, (1, 1), "VALID", dimension_numbers=dims)

    assert cost(program_of(convolve, image, kernel)).product_flops == 2 * (2 * 6 * 6 * 5) * (3 * 3 * 3)


def test_other_arithmetic_is_counted_by_element(matrix):
    assert cost(program_of(lambda x: jnp.tanh(x * 3 + 1), matrix)).flops == 3 * 256
    assert cost(program_of(lambda x: x.astype(jnp.int32) * 3, matrix)).flops == 0
    assert cost(program_of(jnp.sum, matrix)).flops == pytest.approx(256, rel=0.1)


def test_without_loops_the_figures_agree_with_those_of_xla():
    x = jnp.ones((64, 32))
    compiled = jax.jit(lambda x: jnp.tanh(x @ x.T) * 2.0 + 1.0).lower(x).compile()
    mine, theirs = cost(parse(compiled.as_text())), compiled.cost_analysis()
    assert mine.bytes == pytest.approx(theirs["bytes accessed"], rel=0.2)
    assert mine.flops - 64 * 64 == pytest.approx(theirs["flops"], rel=0.01)  # XLA counts tanh elsewhere


def test_a_loop_of_unknown_length_is_named(matrix):
    def until_small(x):
        return jax.lax.while_loop(lambda x: x.sum() > 1.0, lambda x: product(x) * 0.5, x)

    figures = cost(program_of(until_small, matrix))
    assert figures.unknown_loops == 1
    assert figures.product_flops == PRODUCT


def test_of_a_slice_only_its_part_is_traffic():
    table = jnp.zeros((1000, 128))
    rows = jnp.arange(10)

    def sum_of_rows(table):
        return jax.lax.scan(lambda total, row: (total + jnp.sin(table[row]), None), jnp.zeros(128), rows)[0]

    assert cost(program_of(sum_of_rows, table)).bytes < table.nbytes / 4


def test_of_an_update_in_place_only_the_update_is_traffic():
    def fill(x):
        return jax.lax.scan(lambda x, _: (jnp.sin(x), x), x, None, length=1000)[1]

    figures = cost(program_of(fill, jnp.ones(128)))
    assert 1000 * 128 * 4 < figures.bytes < 20 * 1000 * 128 * 4


def test_kernels_and_the_main_loop(matrix):
    many, few = program_of(repeated(7, product), matrix), program_of(repeated(3, product), matrix)
    assert kernels_in(many) == kernels_in(few)
    more_turns, body = cost(many).kernels - cost(few).kernels, main_loop(many)
    assert more_turns % 4 == 0
    assert body.turns == 7
    assert main_loop(program_of(product, matrix)) is None


def test_the_main_loop_is_the_one_that_starts_most_kernels(matrix):
    def two(x):
        return repeated(5, lambda x: product(jnp.tanh(product(x))))(repeated(6, product)(x))

    assert main_loop(program_of(two, matrix)).turns == 5


def test_costs_add_up():
    one = Cost(flops=1.0, bytes=2.0, kernels=3.0, unknown_loops=1.0)
    assert one.plus(one) == Cost(2.0, 0.0, 4.0, 6.0, 2.0)
    assert one.times(5) == Cost(5.0, 0.0, 10.0, 15.0, 1.0)


# As XLA writes them for a GPU: a product handed to cuBLAS, a fusion that prints its operands' types, tuples.
GPU_TEXT = """\
HloModule jit_f, is_scheduled=true, entry_computation_layout={(f32[8,16]{1,0})->f32[8,4]{1,0}}

%fused (p: f32[8,4]) -> f32[8,4] {
  %p = f32[8,4]{1,0} parameter(0)
  ROOT %e = f32[8,4]{1,0} exponential(f32[8,4]{1,0} %p), metadata={op_name="jit(f)/exp (1)"}
}

ENTRY %main (a: f32[8,16], b: bf16[16,4]) -> f32[8,4] {
  %a = f32[8,16]{1,0:T(8,128)} parameter(0)
  %b = bf16[16,4]{1,0} parameter(1)
  %gemm = (f32[8,4]{1,0}, s8[64]{0}, /*index=2*/pred[2]{0}) custom-call(%a, %b), custom_call_target="__cublas$gemm", \
backend_config={"gemm_backend_config":{"dot_dimension_numbers":{"lhs_contracting_dimensions":["1"],"rhs":["0"]}}}
  %out = f32[8,4]{1,0} get-tuple-element(%gemm), index=0
  ROOT %fusion = f32[8,4]{1,0} fusion(f32[8,4]{1,0} %out), kind=kLoop, calls=%fused
}
"""


def test_a_program_of_another_device():
    program = parse(GPU_TEXT)
    assert program.entry == "main"
    gemm = program.computations["main"]["gemm"]
    assert [shape.dims for shape in gemm.shapes] == [(8, 4), (64,), (2,)]
    assert gemm.bytes == 8 * 4 * 4 + 64 + 2
    assert program.computations["fused"]["e"].origin == "jit(f)/exp (1)"
    moved = (8 * 16 * 4 + 16 * 4 * 2 + gemm.bytes) + 2 * 8 * 4 * 4
    assert cost(program) == Cost(2 * 8 * 4 * 16 + 32, 2 * 8 * 4 * 16, moved, 2.0)
    assert kernels_in(program) == 2
