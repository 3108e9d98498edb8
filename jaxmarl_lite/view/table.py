"""The numbers of a picture, beside it."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from jaxmarl_lite.view.canvas import write_bytes


def table_path(picture: Path) -> Path:
    """Return where the numbers of a picture are written."""
    return picture.with_suffix(".csv")


def write_table(picture: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write the rows that `picture` shows as CSV beside it; raises RunError if that cannot be done."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([columns, *rows])
    write_bytes(table_path(picture), text.getvalue().encode())
