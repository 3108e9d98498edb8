"""What people see: a live line while it runs, and tables after."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, TypeVar

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.status import Status
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from jaxmarl_lite.comparing.compare import CellResult, SuiteProgress
    from jaxmarl_lite.training.loop import Progress as BlockProgress
    from jaxmarl_lite.tuning.climb import SweepProgress

T = TypeVar("T")

# Names and paths that people give are shown as they are, whatever brackets and colons they have.
stdout = Console(markup=False, emoji=False)
stderr = Console(stderr=True, markup=False, emoji=False)


def say(sentence: str) -> None:
    """Print a sentence about how it goes; not a result."""
    stderr.print(sentence, highlight=False, soft_wrap=True)


def working(text: str) -> Status:
    """Return a context that says what is being done. Silent without a terminal."""
    return stderr.status(Text(text))


def show_json(value: Any) -> None:
    """Print a result for a program to read."""
    print(json.dumps(value, indent=2))


def show_table(title: str, rows: Mapping[str, Any]) -> None:
    """Print a result for people to read."""
    table = Table(title=title, title_justify="left", show_header=False)
    for name, value in rows.items():
        table.add_row(name, _text(value))
    stdout.print(table)


def show_grid(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], note: str = "") -> None:
    """Print a result with several figures to a row, the first of which names it; `note` stands below."""
    table = Table(title=title, title_justify="left", caption=note or None, caption_justify="left", box=SIMPLE_HEAD)
    table.padding, table.pad_edge = (0, 1, 0, 0), False
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=not number)
    for row in rows:
        table.add_row(*map(_text, row))
    stdout.print(table)


def tracked(items: Sequence[T], describe: Callable[[T], str]) -> Iterator[T]:
    """Yield the items while one line says which it is, of how many. Silent without a terminal."""
    columns = SpinnerColumn(), _words("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=stderr, disable=not stderr.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=len(items))
        for number, item in enumerate(items):
            progress.update(task, description=describe(item), completed=number)
            yield item


def _words(text: str) -> TextColumn:
    return TextColumn(text, markup=False)


class _Line:
    """One line that is drawn anew as work goes on. Silent without a terminal."""

    def __init__(self, left: ProgressColumn | None = None) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            _words("{task.description}"),
            BarColumn(bar_width=24),
            _words("{task.fields[figures]}"),
            TimeElapsedColumn(),
            _words("left"),
            left or TimeRemainingColumn(),
            console=stderr,
            disable=not stderr.is_terminal,
        )
        self._task = self._progress.add_task("compiling", total=None, figures="", left="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


class LiveLine(_Line):
    """A callback of training that draws one line: steps, speed, return, time left."""

    def __call__(self, at: "BlockProgress") -> None:
        """Redraw the line after a block."""
        mean = sum(row["eval_return_sum"] for row in at.rows) / len(at.rows)
        figures = f"{at.env_steps:,} steps  {at.env_steps_per_second:,.0f} steps/s  return {mean:.2f}"
        self._progress.update(self._task, description="training", total=at.blocks, completed=at.block, figures=figures)


class SweepLine(_Line):
    """A callback of a sweep that draws one line: trials, speed, the best return, time left."""

    def __call__(self, at: "SweepProgress") -> None:
        """Redraw the line."""
        score = at.best["return_sum"] if at.best else None
        best = "" if score is None else f"  best {score:.2f}"
        figures = f"{at.trials_done} of {at.trials_in_all} trials  {at.env_steps_per_second:,.0f} steps/s{best}"
        self._progress.update(
            self._task, description="searching", total=at.env_steps_in_all, completed=at.env_steps, figures=figures
        )


class SuiteLine(_Line):
    """A callback of a comparison: a line for each cell that has ended, and below them one that is drawn anew."""

    def __init__(self) -> None:
        super().__init__(_words("{task.fields[left]}"))

    def __call__(self, at: "SuiteProgress") -> None:
        """Redraw the line."""
        is_over = at.cells_done == at.cells_in_all
        left = "" if is_over or at.seconds_left is None else str(timedelta(seconds=round(at.seconds_left)))
        name = "writing the report" if is_over else at.cell.name
        figures = f"{at.cells_done} of {at.cells_in_all} runs"
        if at.block:
            mean = sum(row["eval_return_sum"] for row in at.block.rows) / len(at.block.rows)
            figures += f"  {at.block.env_steps_per_second:,.0f} steps/s  return {mean:.2f}"
        self._progress.update(
            self._task, description=name, total=at.env_steps_in_all, completed=at.env_steps, figures=figures,
            left=left,
        )  # fmt: skip
        if at.result:
            say(f"{at.cells_done} of {at.cells_in_all}: {_ended(at.result)}{left and f'; {left} left'}")


def _ended(result: "CellResult") -> str:
    if result.summary is None:
        return f"{result.cell.name} failed: {result.failure}"
    return f"{result.cell.name} return {_text(result.summary['eval']['return_sum'])}"


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) < 1e4 else f"{value:,.0f}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(item)}" for name, item in value.items())
    if isinstance(value, list):
        return "  ".join(_text(item) for item in value)
    return str(value)
