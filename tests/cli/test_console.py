"""Names and paths that people give are shown as they are."""

import pytest
from rich.console import Console

from jaxmarl_lite.cli import console

NAMES = ["mappo [gru]", "a [/x]", "b :smile:"]


@pytest.mark.parametrize("name", NAMES)
def test_names_in_tables_are_no_markup(capsys, name):
    console.show_grid(f"title {name}", ["run", f"of {name}"], [[f"cell {name}", "1"]], f"note {name}")
    console.show_table(f"table {name}", {f"row {name}": f"value {name}"})
    out = " ".join(capsys.readouterr().out.split())
    for part in ("title", "of", "cell", "note", "table", "row", "value"):
        assert f"{part} {name}" in out


@pytest.mark.parametrize("name", NAMES)
def test_names_in_the_live_line_are_no_markup(name):
    line, screen = console.SuiteLine(), Console(width=200, markup=False)
    line._progress.update(line._task, description=name, figures=f"of {name}", left=f"left {name}")
    with screen.capture() as shown:
        screen.print(line._progress.make_tasks_table(line._progress.tasks))
    for part in (f"{name} ", f"of {name}", f"left {name}"):
        assert part in shown.get()


@pytest.mark.parametrize("name", NAMES)
def test_names_in_what_is_being_done_are_no_markup(name):
    assert str(console.working(name).renderable.text) == name
