"""Arithmetic, traffic and kernels of a compiled program, loops counted as often as they turn.

XLA's own `cost_analysis()` counts the body of a loop once, which for a rollout is one step of many.
"""

import math
import re
from typing import NamedTuple

from jaxmarl_lite.bench.hlo import Computation, Instruction, Program

_NO_KERNEL = {
    "add-dependency", "after-all", "bitcast", "constant", "get-tuple-element", "opt-barrier", "parameter",
    "partition-id", "replica-id", "tuple",
}  # fmt: skip
_ARITHMETIC = {
    "abs", "add", "atan2", "cbrt", "ceil", "cosine", "divide", "erf", "exponential", "exponential-minus-one", "floor",
    "log", "log-plus-one", "logistic", "maximum", "minimum", "multiply", "negate", "power", "remainder", "rsqrt",
    "sign", "sine", "sqrt", "subtract", "tan", "tanh",
}  # fmt: skip
_READS_A_PART = ("dynamic-slice", "gather", "slice")
_MOST = 0.5  # of the kernels of a body: then the loop inside it is the one that matters
_SMALL_CALL = 'xla_cpu_small_call="true"'  # XLA makes one kernel of a computation that does next to nothing


class Cost(NamedTuple):
    """What one call takes; of a conditional, the dearer branch."""

    flops: float = 0.0
    """floating-point operations: a multiply-add is 2, any function of one element 1"""
    product_flops: float = 0.0
    """those of matrix products and convolutions"""
    bytes: float = 0.0
    """read and written by kernels, in memory or caches; of a slice only its part"""
    kernels: float = 0.0
    """started, one after another or side by side"""
    unknown_loops: float = 0.0
    """loops whose number of turns the compiler does not know: counted as if they turned once"""

    def plus(self, other: "Cost") -> "Cost":
        """Return the cost of both."""
        return Cost(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, turns: int) -> "Cost":
        """Return the cost of doing it `turns` times."""
        return Cost(*(turns * x for x in self))._replace(unknown_loops=self.unknown_loops)


class Loop(NamedTuple):
    """A loop of a program."""

    turns: int
    """each time that it is begun"""
    calls: int
    """how often it is begun, by the loops around it"""
    kernels: float
    """started each time that it is begun"""
    names: frozenset[str]
    """the instructions that every turn may run"""


def cost(program: Program, name: str | None = None) -> Cost:
    """Return what a call of the program takes, or of one of its computations."""
    inside = program.computations[name or program.entry]
    total = Cost()
    for one in inside.values():
        total = total.plus(_cost_of(program, inside, one))
    return total


def kernels_in(program: Program) -> int:
    """Return the number of kernels that the program's text has, each loop body and branch once."""
    names = _reached(program, program.entry)
    return sum(is_kernel(one) for one in _instructions(program, names))


def main_loop(program: Program, name: str | None = None, calls: int = 1) -> Loop | None:
    """Return the loop of known length that starts most kernels; None if there is none.

    A loop that does little but turn another one, as that over seeds does, gives way to it.
    """
    loops = [
        one
        for name in _reached(program, name or program.entry, through_loops=False)
        for one in program.computations[name].values()
        if one.opcode == "while" and one.trips
    ]
    if not loops:
        return None
    longest = max(loops, key=lambda one: cost(program, one.called[0]).kernels * (one.trips or 1))
    body, turns = longest.called[0], longest.trips or 1
    inner = main_loop(program, body, calls * turns)
    if inner is not None and inner.kernels >= _MOST * cost(program, body).kernels:
        return inner
    names = _instructions(program, _reached(program, body))
    return Loop(turns, calls, cost(program, body).kernels * turns, frozenset(one.name for one in names))


def is_kernel(one: Instruction) -> bool:
    """Return whether running an instruction, outside a fusion, starts a kernel of its own."""
    return not (one.opcode in _NO_KERNEL or one.opcode.endswith("-done") or _holds_kernels(one))


def _holds_kernels(one: Instruction) -> bool:
    return one.opcode in ("while", "conditional") or (one.opcode == "call" and _SMALL_CALL not in one.attributes)


def _reached(program: Program, name: str, through_loops: bool = True) -> list[str]:
    """Return a computation and those whose instructions start kernels when it runs."""
    found = [name]
    for one in program.computations[name].values():
        if _holds_kernels(one) and (through_loops or one.opcode != "while"):
            found += [inner for called in one.called for inner in _reached(program, called, through_loops)]
    return found


def _instructions(program: Program, names: list[str]) -> list[Instruction]:
    return [one for name in dict.fromkeys(names) for one in program.computations[name].values()]


def _cost_of(program: Program, inside: Computation, one: Instruction) -> Cost:
    if one.opcode == "while":
        body = cost(program, one.called[0])
        return body.times(one.trips) if one.trips is not None else body.plus(Cost(unknown_loops=1))
    if one.opcode == "conditional":
        return Cost(*map(max, zip(*(cost(program, branch) for branch in one.called), strict=True)))
    if _holds_kernels(one):
        return cost(program, one.called[0])
    if not is_kernel(one):
        return Cost()
    if one.opcode in ("fusion", "call"):
        whole = cost(program, one.called[0])
        return whole._replace(bytes=_moved(program, inside, one), kernels=1.0)
    products = _product_flops(inside, one)
    return Cost(products + _other_flops(inside, one), products, _moved(program, inside, one), 1.0)


def _product_flops(inside: Computation, one: Instruction) -> float:
    """Return the operations of a matrix product or convolution, 2 for each multiply-add."""
    if one.opcode == "convolution":
        kernel = inside[one.operands[1]].shapes[0]
        labels = re.search(r"dim_labels=\w+_(\w+)->", one.attributes)
        features = labels[1].index("o") if labels else len(kernel.dims) - 1
        return 2.0 * one.shapes[0].size * kernel.size / max(kernel.dims[features], 1)
    contracted = one.numbers("lhs_contracting_dims") if one.opcode == "dot" else _of_library_call(one)
    if contracted is None:
        return 0.0
    dims = inside[one.operands[0]].shapes[0].dims
    return 2.0 * one.shapes[0].size * math.prod(dims[d] for d in contracted)


def _of_library_call(one: Instruction) -> tuple[int, ...] | None:
    """Return the contracted dimensions if it hands a matrix product to a library, such as cuBLAS."""
    found = re.search(r'"lhs_contracting_dimensions":\[([^\]]*)\]', one.attributes)
    return tuple(map(int, re.findall(r"\d+", found[1]))) if found and one.opcode == "custom-call" else None


def _other_flops(inside: Computation, one: Instruction) -> float:
    if not one.shapes or not one.shapes[0].is_float:
        return 0.0
    if one.opcode in _ARITHMETIC:
        return float(one.shapes[0].size)
    if one.opcode == "reduce":
        return float(inside[one.operands[0]].shapes[0].size)
    if one.opcode == "reduce-window":
        window = re.search(r"window=\{size=([\dx]+)", one.attributes)
        return float(one.shapes[0].size * math.prod(map(int, window[1].split("x")))) if window else 0.0
    return 0.0


def _moved(program: Program, inside: Computation, one: Instruction) -> float:
    """Return the bytes that a kernel reads and writes."""
    if one.opcode in _READS_A_PART:
        return 2.0 * one.bytes
    if one.opcode == "dynamic-update-slice":
        return 2.0 * inside[one.operands[1]].bytes
    if one.opcode == "scatter":
        return 2.0 * inside[one.operands[-1]].bytes
    if one.opcode != "fusion":
        return float(one.bytes + sum(inside[name].bytes for name in one.operands))
    fused = program.computations[one.called[0]]
    root = next(inner for inner in fused.values() if inner.is_root)
    read = sum(_read(fused, inner) for inner in fused.values() if inner.opcode == "parameter")
    return float(read + _written(fused, root))


def _read(fused: Computation, source: Instruction) -> int:
    """Return the bytes that a fusion reads of one of its inputs: of one that it only slices, the slices."""
    total = 0
    for user in fused.values():
        if source.name not in user.operands:
            continue
        is_first = user.operands[0] == source.name
        if user.opcode == "bitcast":
            total += _read(fused, user)
        elif user.opcode in _READS_A_PART and is_first:
            total += user.bytes
        elif not (user.opcode == "dynamic-update-slice" and is_first):  # that one is written in place
            total += source.bytes
    return min(total, source.bytes)


def _written(fused: Computation, result: Instruction) -> int:
    """Return the bytes that a fusion writes: of an array that it updates in place, the update."""
    if result.opcode == "tuple":
        return sum(_written(fused, fused[name]) for name in result.operands)
    if result.opcode == "bitcast":
        return _written(fused, fused[result.operands[0]])
    return fused[result.operands[1]].bytes if result.opcode == "dynamic-update-slice" else result.bytes
