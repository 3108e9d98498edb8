"""The folder that a run leaves: what it was, what happened, and from where it can go on."""

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from jaxmarl_lite.core.env import Key, Tree
from jaxmarl_lite.core.errors import RunError, SettingError
from jaxmarl_lite.training import checkpoint

CONFIG = "config.json"
METRICS = "metrics.jsonl"
TIMING = "timing.jsonl"
SUMMARY = "summary.json"
CURVE = "curve.png"
CHECKPOINTS = "checkpoints"
TRACKERS = "trackers"
TRIALS = "trials.jsonl"
BEST = "best.json"
SCATTER = "sweep.png"
SWEEP = "sweep"  # the part of a config that makes it a sweep's
_FORMAT = 1

Row = dict[str, Any]


class RunFolder:
    """A run on disk; make one with `create` or `open`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @staticmethod
    def create(path: str | Path, config: dict[str, Any], *, overwrite: bool = False) -> "RunFolder":
        """Begin a run in `path`; raises SettingError if it holds one already and `overwrite` is not set."""
        folder = RunFolder(Path(path))
        if folder.path.exists() and not folder.path.is_dir():
            raise SettingError(f"out={str(path)!r} is not allowed: it is a file, and a run needs a folder.")
        if (folder.path / CONFIG).exists():
            if not overwrite:
                raise SettingError(
                    f"out={str(path)!r} already holds a run: choose another folder, continue it with resume, "
                    "or replace it with overwrite."
                )
            folder._clear()
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            (folder.path / SUMMARY).unlink(missing_ok=True)  # beside a new config it would say that the run is finished
            checkpoint.write_text(folder.path / CONFIG, _to_json({"format": _FORMAT, **config}, indent=2))
        except OSError as error:
            raise SettingError(f"out={str(path)!r} cannot be written: {error.strerror}.") from None
        return folder

    @staticmethod
    def open(path: str | Path) -> "RunFolder":
        """Return the run in `path`; raises SettingError if there is none."""
        folder = RunFolder(Path(path))
        if not (folder.path / CONFIG).is_file():
            raise SettingError(f"{str(path)!r} holds no run: there is no {CONFIG} in it.")
        return folder

    def config(self) -> dict[str, Any]:
        """Return what the run follows from; raises RunError if the file is damaged or of another format."""
        try:
            config = json.loads((self.path / CONFIG).read_text())
        except (OSError, ValueError):
            config = None
        if not isinstance(config, dict) or config.get("format") != _FORMAT:
            raise RunError(f"{self.path / CONFIG} is damaged, or not the config of a run in format {_FORMAT}.")
        return config

    def config_of_run(self) -> dict[str, Any]:
        """Return what the run follows from, as `config`; raises SettingError if it is a sweep."""
        config = self.config()
        if SWEEP in config:
            raise SettingError(
                f"{str(self.path)!r} holds a sweep and no run: train its best by `jaxmarl-lite train --config "
                f"{self.path / BEST}`."
            )
        return config

    def update_config(self, **changes: Any) -> None:
        """Replace some entries of the config."""
        checkpoint.write_text(self.path / CONFIG, _to_json({**self.config(), **changes}, indent=2))

    def record(self, rows: list[Row], timing: Row) -> None:
        """Append a block's metrics, one row for each seed, and how long it took."""
        self.append(METRICS, rows)
        self.append(TIMING, [timing])

    def append(self, name: str, rows: list[Row]) -> None:
        """Append rows to a file of lines."""
        with open(self.path / name, "a") as file:
            file.writelines(_to_json(row) + "\n" for row in rows)
            file.flush()
            os.fsync(file.fileno())

    def rewrite(self, name: str, rows: Iterable[Row]) -> None:
        """Replace a file of lines."""
        checkpoint.write_text(self.path / name, "".join(_to_json(row) + "\n" for row in rows))

    def rows(self, name: str = METRICS, *, numbers: Sequence[str] = ()) -> list[Row]:
        """Return what was recorded; a last line that was cut short is left out.

        Raises RunError if another line is damaged, or if one lacks some of these numbers.
        """
        path = self.path / name
        complete = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        rows = [_row(path, number, line) for number, line in enumerate(complete, start=1)]
        if not all(isinstance(row.get(number), int | float) for row in rows for number in numbers):
            raise RunError(f"{path} is damaged: each of its lines must have a number {' and a number '.join(numbers)}.")
        return rows

    def rewind(self, block: int) -> None:
        """Forget what was recorded after `block`, from where the run goes on; raises RunError as `rows` does."""
        rows, timings = self.rows(numbers=("block",)), self.rows(TIMING, numbers=("block", "train_seconds"))
        self.rewrite(METRICS, [row for row in rows if row["block"] <= block])
        self.rewrite(TIMING, [row for row in timings if row["block"] <= block])

    def save(self, block: int, state: Tree, *, keep: int) -> None:
        """Write a checkpoint."""
        checkpoint.save(self.path / CHECKPOINTS, block, state, keep=keep)

    def load(self, like: Tree, key: Key) -> tuple[int, Tree] | None:
        """Return the last sound checkpoint's block and state; see `checkpoint.load_latest`."""
        return checkpoint.load_latest(self.path / CHECKPOINTS, like, key)

    def summary(self, env_steps: int) -> Row | None:
        """Return the result of a run of this length, or None if it was not written."""
        try:
            summary = json.loads((self.path / SUMMARY).read_text())
        except (OSError, ValueError):
            return None
        return summary if isinstance(summary, dict) and summary.get("env_steps") == env_steps else None

    def write_summary(self, summary: Row) -> None:
        """Write the run's result."""
        self.write(SUMMARY, summary)

    def write(self, name: str, value: Row) -> None:
        """Write a file of one JSON object."""
        checkpoint.write_text(self.path / name, _to_json(value, indent=2))

    def _clear(self) -> None:
        # Only what a run wrote: the folder may hold files of the user. Whatever interrupts, what is left is a run (the
        # config goes last) and not a finished one (the summary goes first).
        (self.path / SUMMARY).unlink(missing_ok=True)
        for name in (CHECKPOINTS, TRACKERS):
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in (METRICS, TIMING, CURVE, TRIALS, BEST, SCATTER, CONFIG):
            (self.path / name).unlink(missing_ok=True)


def _row(path: Path, number: int, line: bytes) -> Row:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise RunError(f"{path} is damaged: line {number} must be a JSON object.")
    return row


def _to_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, indent=indent, allow_nan=False)
