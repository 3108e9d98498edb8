"""The libraries of trackers behind one interface, each imported when a run is opened in it."""

import contextlib
import importlib
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from jaxmarl_lite.tracking.bookmark import Bookmark
from jaxmarl_lite.tracking.figures import SCORE, Plain
from jaxmarl_lite.training.folder import TRACKERS

PROJECT = "jaxmarl-lite"  # where neither the user nor a library's environment variable names one

T = TypeVar("T")


class Opening(NamedTuple):
    """What a tracker is told at first."""

    project: str | None
    settings: Mapping[str, Plain]
    folder: Path | None
    """the run's, if it is written to disk"""
    env_steps: int
    """from where the run goes on"""
    bookmark: Bookmark
    """how far the tracker was told before"""

    @property
    def title(self) -> str:
        """What the run is called."""
        return f"{self.settings['algo']} {self.settings['env']}"


class Sink(Protocol):
    """A run that is open in a tracker."""

    id: str | None
    """by which the tracker knows it"""
    project: str | None
    """what it was put into"""
    logged: int
    """environment steps up to which the tracker has figures"""

    def log(self, env_steps: int, figures: Mapping[str, float]) -> None:
        """Take a block's figures."""
        ...

    def end(self, env_steps: int, summary: Mapping[str, float], picture: Path | None, is_whole: bool) -> None:
        """Take the result and a picture, if there are, and close the run; `is_whole` if it was not stopped."""
        ...


class TensorBoard:
    """Event files in the run's folder, or in runs/ where it has none."""

    def __init__(self, opening: Opening) -> None:
        library: Any = importlib.import_module("tensorboardX")
        told = min(opening.bookmark.env_steps, opening.env_steps)
        self.id: str | None = None
        self.project: str | None = None
        self.logged = told
        # Beside what was told after the checkpoint, what was told without a bookmark is forgotten and told again.
        self._writer = library.SummaryWriter(
            str(opening.folder / TRACKERS / "tensorboard") if opening.folder else None,
            purge_step=told + 1 if opening.folder else None,
            filename_suffix=f".{uuid.uuid4().hex[:8]}",  # a file of the same second would be written over
        )
        about: Any = importlib.import_module("tensorboardX.summary")
        *begin, self._last = about.hparams(dict(opening.settings), {SCORE: 0.0})
        for part in begin:
            self._writer.file_writer.add_summary(part)

    def log(self, env_steps: int, figures: Mapping[str, float]) -> None:
        """Take a block's figures."""
        for name, value in figures.items():
            self._writer.add_scalar(name, value, env_steps)
        self._writer.flush()

    def end(self, env_steps: int, summary: Mapping[str, float], picture: Path | None, is_whole: bool) -> None:
        """Take the result and a picture, if there are, and close the run."""
        for name, value in summary.items():
            self._writer.add_scalar(name, value, env_steps)
        if picture is not None:
            self._writer.add_image("curve", _pixels(picture), env_steps, dataformats="HWC")
        if is_whole:
            self._writer.file_writer.add_summary(self._last)
        self._writer.close()


class Wandb:
    """A run at Weights & Biases, or on disk with WANDB_MODE=offline; all else is told it by its own variables."""

    def __init__(self, opening: Opening) -> None:
        self._library: Any = importlib.import_module("wandb")
        self.id: str | None = opening.bookmark.id or uuid.uuid4().hex[:8]
        self.project: str | None = opening.project or os.environ.get("WANDB_PROJECT", PROJECT)
        beside = {} if opening.folder is None or "WANDB_DIR" in os.environ else {"dir": str(opening.folder / TRACKERS)}
        # It would ask for a key on a terminal, where nobody may be, and write over our line.
        settings = self._library.Settings(silent=True, console="off")
        self._library.setup(settings=settings)
        self._run = self._library.init(
            id=self.id,
            project=self.project,
            name=os.environ.get("WANDB_NAME", opening.title),
            config=dict(opening.settings),
            resume="allow",
            settings=settings,
            **beside,
        )
        # Only the server knows what it got: a process that is killed loses what wandb had not written. On disk each
        # part of a run is a folder, and the last one is made whole.
        self.logged = self._run.starting_step if self._run.resumed else 0

    def log(self, env_steps: int, figures: Mapping[str, float]) -> None:
        """Take a block's figures."""
        self._run.log(dict(figures), step=env_steps, commit=True)

    def end(self, env_steps: int, summary: Mapping[str, float], picture: Path | None, is_whole: bool) -> None:
        """Take the result and a picture, if there are, and close the run."""
        self._run.summary.update(dict(summary))
        if picture is not None:
            self._run.log({"curve": self._library.Image(str(picture))})
        self._run.finish(exit_code=0 if is_whole else 1)


class MLflow:
    """A run in the store that MLFLOW_TRACKING_URI names, by default mlflow's own."""

    def __init__(self, opening: Opening) -> None:
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # a server that is away is said once, by us
        self._library: Any = importlib.import_module("mlflow")
        self._entities: Any = importlib.import_module("mlflow.entities")
        self._client = self._library.MlflowClient()
        self.project: str | None = opening.project or os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        self.id: str | None = opening.bookmark.id or self._new(opening)
        self._client.update_run(self.id, status="RUNNING")
        self.logged = max((point.step for point in self._client.get_metric_history(self.id, SCORE)), default=0)

    def _new(self, opening: Opening) -> str:
        run = self._client.create_run(self._experiment(), run_name=opening.title).info.run_id
        params = [self._entities.Param(name, str(value)) for name, value in opening.settings.items()]
        for part in _parts(params, 100):
            self._client.log_batch(run, params=part)
        return run

    def _experiment(self) -> str:
        if self._client.get_experiment_by_name(self.project) is None:
            # A run that begins at the same time may be first.
            with contextlib.suppress(self._library.MlflowException):
                return self._client.create_experiment(self.project)
        return self._client.get_experiment_by_name(self.project).experiment_id

    def log(self, env_steps: int, figures: Mapping[str, float]) -> None:
        """Take a block's figures."""
        now = int(time.time() * 1000)
        points = [self._entities.Metric(name, value, now, env_steps) for name, value in figures.items()]
        for part in _parts(points, 1000):
            self._client.log_batch(self.id, metrics=part)

    def end(self, env_steps: int, summary: Mapping[str, float], picture: Path | None, is_whole: bool) -> None:
        """Take the result and a picture, if there are, and close the run."""
        self.log(env_steps, summary)
        if picture is not None:
            self._client.log_artifact(self.id, str(picture))
        self._client.set_terminated(self.id, "FINISHED" if is_whole else "KILLED")


SINKS: dict[str, Callable[[Opening], Sink]] = {"tensorboard": TensorBoard, "wandb": Wandb, "mlflow": MLflow}


def _parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield items in parts that mlflow takes at once."""
    yield from (items[first : first + size] for first in range(0, len(items), size))


def _pixels(picture: Path) -> Any:
    """Return a picture [height, width, 3]; whoever could draw it has Pillow."""
    import numpy as np
    from PIL import Image

    with Image.open(picture) as image:
        return np.asarray(image.convert("RGB"))
