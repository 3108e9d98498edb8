"""What a compiled program consists of, read from its text (XLA's HLO)."""

import math
import re
from functools import cached_property
from typing import NamedTuple

_ARRAY = re.compile(r"\b([a-z][a-z0-9]*)\[([0-9,]*)\]")
_LINE = re.compile(r"\s+(ROOT )?%?([\w.\-]+) = (.*)")
_HEAD = re.compile(r"(ENTRY )?%?([\w.\-]+) \(.*\{$")
_NAME = re.compile(r"%([\w.\-]+)")
_CALLED = re.compile(r"\b(calls|to_apply|body|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"\bbranch_computations=\{([^}]*)\}")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_ORIGIN = re.compile(r'op_name="([^"]*)"')


class Shape(NamedTuple):
    """Type and extent of an array, such as f32[8,16]."""

    dtype: str
    dims: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.dims)

    @property
    def bytes(self) -> int:
        """Bytes that the elements take; a truth value takes one, a token none."""
        bits = re.search(r"\d+", self.dtype)
        return math.ceil(self.size * int(bits[0]) / 8) if bits else self.size * (self.dtype == "pred")

    @property
    def is_float(self) -> bool:
        """Whether arithmetic on it is floating-point."""
        return self.dtype.startswith(("f", "bf", "c"))


class Instruction:
    """One line of a computation."""

    def __init__(self, name: str, text: str, is_root: bool) -> None:
        self.name, self.is_root = name, is_root
        end = _closing(text, 0) if text.startswith("(") else text.index(" ")
        opening = text.index("(", end)
        closing = _closing(text, opening)
        self.shapes = [
            Shape(dtype, tuple(map(int, filter(None, dims.split(","))))) for dtype, dims in _ARRAY.findall(text[:end])
        ]
        self.opcode = text[end:opening].strip()
        self.literal = text[opening + 1 : closing - 1]
        self.attributes = text[closing:]

    @cached_property
    def operands(self) -> list[str]:
        """Names of the instructions whose results it takes."""
        return _NAME.findall(self.literal)

    @property
    def bytes(self) -> int:
        """Bytes of its result."""
        return sum(shape.bytes for shape in self.shapes)

    @property
    def called(self) -> list[str]:
        """Names of the computations that it runs: of a loop its body, of a conditional its branches."""
        branches = _BRANCHES.search(self.attributes)
        return [name for _, name in _CALLED.findall(self.attributes)] + (_NAME.findall(branches[1]) if branches else [])

    @property
    def trips(self) -> int | None:
        """How often a loop turns, if the compiler knows."""
        known = _TRIPS.search(self.attributes)
        return int(known[1]) if known else None

    @property
    def origin(self) -> str:
        """Where in the traced program it comes from; empty if the compiler made it up."""
        found = _ORIGIN.search(self.attributes)
        return found[1] if found else ""

    def numbers(self, attribute: str) -> tuple[int, ...]:
        """Return the list of numbers that an attribute holds, such as lhs_contracting_dims={1}."""
        found = re.search(rf"\b{attribute}=\{{([\d,]*)\}}", self.attributes)
        return tuple(map(int, filter(None, found[1].split(",")))) if found else ()


Computation = dict[str, Instruction]


class Program(NamedTuple):
    """A compiled program: computations that call one another."""

    computations: dict[str, Computation]
    entry: str


def parse(text: str) -> Program:
    """Return the program of a compiled function's `as_text()`."""
    computations: dict[str, Computation] = {}
    entry, current = "", {}
    for line in text.splitlines():
        if head := _HEAD.match(line):
            current = computations[head[2]] = {}
            entry = head[2] if head[1] else entry
        elif found := _LINE.match(line):
            current[found[2]] = Instruction(found[2], found[3], bool(found[1]))
    return Program(computations, entry)


def _closing(text: str, opening: int) -> int:
    """Return the place after the parenthesis that closes the one at `opening`."""
    depth = 0
    for place in re.finditer(r"[()]", text[opening:]):
        depth += 1 if place[0] == "(" else -1
        if depth == 0:
            return opening + place.end()
    return len(text)
