"""What may import what, and what importing does."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import jaxmarl_lite

PACKAGE = Path(jaxmarl_lite.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# core <- ops <- environments, nn, data <- learners <- training <- tracking, tuning, view, bench <- comparing <- cli
BELOW = {
    "core": set(),
    "ops": {"core"},
    "environments": {"core", "ops"},
    "nn": {"core", "ops"},
    "data": {"core", "ops", "environments"},
    "learners": {"core", "ops", "environments", "nn", "data"},
    "training": {"core", "ops", "environments", "nn", "data", "learners"},
    "tracking": {"core", "ops", "environments", "nn", "data", "learners", "training"},
    "view": {"core", "ops", "environments", "nn", "data", "learners", "training"},
    "tuning": {"core", "ops", "environments", "nn", "data", "learners", "training"},
    "bench": {"core", "ops", "environments", "nn", "data", "learners", "training"},
    "comparing": {"core", "ops", "environments", "nn", "data", "learners", "training", "view"},
    "cli": {
        *("core", "ops", "environments", "nn", "data", "learners", "training"),
        *("tracking", "tuning", "view", "bench", "comparing"),
    },
    "__main__": {"cli"},
}


def label(path):
    return str(path.relative_to(PACKAGE))


each_module = pytest.mark.parametrize("path", MODULES, ids=label)


def part_of(path):
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def is_type_checking(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def running(node):
    """Every node that runs: not what stands under `if TYPE_CHECKING`."""
    yield node
    for child in ast.iter_child_nodes(node):
        if is_type_checking(child):
            for other in child.orelse:
                yield from running(other)
        else:
            yield from running(child)


def imported_by(path):
    """Dotted names of everything that a module imports anywhere in it."""
    for node in running(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_part_has_its_place():
    assert {part_of(path) for path in MODULES} == set(BELOW) | {"__init__"}


@each_module
def test_imports_point_one_way(path):
    part = part_of(path)
    for name in imported_by(path):
        root, _, rest = name.partition(".")
        if root == "jaxmarl_lite" and rest:
            assert part in BELOW, f"{label(path)} must import nothing of the package when it is imported"
            assert rest.split(".")[0] in BELOW[part] | {part, "__version__"}, f"{label(path)} imports {name}"


@each_module
def test_the_package_itself_is_imported_for_its_version_only(path):
    tree = ast.parse(path.read_text())
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "jaxmarl_lite"
    }
    assert used <= {"__version__"}


@pytest.mark.parametrize("path", [p for p in MODULES if part_of(p) == "ops"], ids=label)
def test_ops_know_neither_networks_nor_environments(path):
    roots = {name.split(".")[0] for name in imported_by(path)}
    assert not roots & {"flax", "optax", "distrax"}
    assert not any(name.startswith(("jaxmarl_lite.environments", "jaxmarl_lite.nn")) for name in imported_by(path))


@pytest.mark.parametrize(
    "path", [p for p in MODULES if part_of(p) in ("core", "ops", "environments", "nn", "data")], ids=label
)
def test_lower_parts_need_no_library_of_the_upper(path):
    roots = {name.split(".")[0] for name in imported_by(path)}
    assert not roots & {"optax", "orbax", "tyro", "rich", "distrax"}


@each_module
def test_only_the_command_line_prints(path):
    if part_of(path) == "cli":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        printed = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
        assert not printed, f"{label(path)}:{node.lineno} prints"


def test_the_command_line_does_print():
    assert any("print(" in path.read_text() for path in MODULES if part_of(path) == "cli")


def run_at_import(tree):
    """Every node that runs when a module is imported: not the bodies of functions, but their defaults."""
    for node in ast.iter_child_nodes(tree):
        if is_type_checking(node):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            outside = [*node.args.defaults, *filter(None, node.args.kw_defaults), *getattr(node, "decorator_list", [])]
            for part in outside:
                yield part
                yield from run_at_import(part)
        else:
            yield node
            yield from run_at_import(node)


ARRAY_MAKERS = ("jnp.", "jax.numpy.", "jax.random.", "jax.device", "jax.local_device", "jax.default_backend")


def calls_at_import(source):
    nodes = run_at_import(ast.parse(source))
    return [name for n in nodes if isinstance(n, ast.Call) and (name := ast.unparse(n.func)).startswith(ARRAY_MAKERS)]


@each_module
def test_no_array_is_made_at_module_level(path):
    assert calls_at_import(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "X = jnp.ones(3)",
        "class A:\n    x = f(jnp.ones(3))",
        "def f(x=jax.random.key(0)): pass",
        "N = jax.device_count()",
    ],
)
def test_the_search_for_arrays_at_module_level_finds_them(source):
    assert len(calls_at_import(source)) == 1
    assert calls_at_import(f"def g():\n    return jnp.ones(3) + {source.split()[-1]!r}") == []


def in_a_fresh_process(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_loads_no_jax():
    out = in_a_fresh_process(
        "import sys, jaxmarl_lite; print([m for m in sys.modules if m in ('jax', 'flax', 'numpy')])"
    )
    assert out.strip() == "[]"


IMPORT_EVERYTHING = """
import importlib, pkgutil
import jaxmarl_lite
names = [m.name for m in pkgutil.walk_packages(jaxmarl_lite.__path__, "jaxmarl_lite.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
from jax._src import xla_bridge
print(len(names), xla_bridge.backends_are_initialized(), len(xla_bridge._backends))
import jax
jax.numpy.ones(1)
print(xla_bridge.backends_are_initialized())
"""


def test_importing_every_module_starts_no_backend():
    before, after = in_a_fresh_process(IMPORT_EVERYTHING).strip().splitlines()[-2:]
    number, started, backends = before.split()
    assert int(number) > 30
    assert (started, backends) == ("False", "0")
    assert after == "True"  # the control: an array does start one
