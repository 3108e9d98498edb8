"""The watcher that tells a tracker of a run, and goes without it when it is missing, fails or hangs."""

import importlib.util
import itertools
import warnings
from collections.abc import Mapping, Sequence
from functools import partial

from jaxmarl_lite.core.settings import require_known, require_number
from jaxmarl_lite.tracking.background import Background
from jaxmarl_lite.tracking.bookmark import Bookmark
from jaxmarl_lite.tracking.figures import figures_of, settings_of, summary_of
from jaxmarl_lite.tracking.names import LIBRARIES
from jaxmarl_lite.tracking.sinks import SINKS, Opening, Sink
from jaxmarl_lite.training.callbacks import Beginning, Progress, Result, Watcher
from jaxmarl_lite.training.folder import CURVE, TRACKERS, Row

SPEED = "speed/env_steps_per_second"
_HURRY = 5.0  # seconds that whoever stops a run waits at most


def track(name: str, *, project: str | None = None, patience: float = 60.0) -> "Tracker":
    """Return a callback that tells a tracker of a run: "tensorboard", "wandb" or "mlflow".

    `project` is that of Weights & Biases, or MLflow's experiment; all else is told the libraries by their own
    environment variables, such as WANDB_MODE and MLFLOW_TRACKING_URI. Training never waits for a tracker but at its
    end, `patience` seconds at most, and whatever goes wrong with one is a single warning. A run that is resumed goes on
    in the tracker too: what it was told is not told again, and what it has missed is.

    Raises SettingError on another name, or a patience that is negative.
    """
    require_known("tracker", name, SINKS)
    require_number("patience", patience, low=0)
    return Tracker(name, project, patience)


class Tracker(Watcher):
    """One tracker; make it with `track`."""

    def __init__(self, name: str, project: str | None, patience: float) -> None:
        self._name, self._project, self._patience = name, project, patience
        self._background: Background | None = None

    def begin(self, run: Beginning) -> None:
        """Open the run in the tracker, and tell what it has not been told of what is done."""
        if not _is_installed(LIBRARIES[self._name]):
            self._lose(f"training goes on without {self._name}: pip install 'jaxmarl-lite[{self._name}]'.")
            return
        self._talk, self._background = _Talk(self._name, self._project, run), Background()
        self._background.do(self._talk.begin)

    def __call__(self, at: Progress) -> None:
        """Tell of a block."""
        if self._background:
            self._background.do(partial(self._talk.tell, at.rows, {SPEED: at.env_steps_per_second}))
            self._look()

    def end(self, result: Result | None) -> None:
        """Tell the result, or that there is none, and wait for the tracker."""
        if not self._background:
            return
        self._background.do(partial(self._talk.end, result and result.summary))
        patience = self._patience if result else min(self._patience, _HURRY)
        if self._background.finish(patience):
            self._look()
        else:
            self._lose(f"{self._name} had not taken everything after {patience:g} s: a resume tells it what it missed.")
        self._background = None

    def _look(self) -> None:
        if self._background and (fault := self._background.fault):
            reason = " ".join(f"{type(fault).__name__}: {fault}".split())[:300]
            self._lose(f"training goes on without {self._name}, which failed ({reason}).")

    def _lose(self, sentence: str) -> None:
        self._background = None
        warnings.warn(sentence, stacklevel=4)


class _Talk:
    """What a tracker is told, in the background."""

    def __init__(self, name: str, project: str | None, run: Beginning) -> None:
        self._name, self._run = name, run
        self._sink: Sink | None = None
        self._bookmark = Bookmark.read(run.folder, name)
        self._told = self._bookmark.env_steps
        self._opening = Opening(
            project=project or self._bookmark.project,
            settings=settings_of(run),
            folder=run.folder,
            env_steps=run.rows[-1]["env_steps"] if run.rows else 0,
            bookmark=self._bookmark,
        )

    def begin(self) -> None:
        """Open the run, unless it is one of which the tracker knows all, which may have nothing new."""
        if not self._bookmark.is_ended or self._opening.env_steps > self._told:
            self._opened()

    def tell(self, rows: Sequence[Row], more: Mapping[str, float] | None = None) -> None:
        """Tell a block's figures, unless the tracker has them: a resumed run makes the same ones again."""
        env_steps = rows[0]["env_steps"]
        if env_steps > self._told:
            self._opened().log(env_steps, {**figures_of(rows), **(more or {})})
            self._keep(env_steps, is_ended=False)

    def end(self, summary: Row | None) -> None:
        """Tell the result, if there is one, with the picture that was drawn, and close the run."""
        if self._bookmark.is_ended:
            return
        picture = self._run.folder / CURVE if summary and self._run.folder else None
        picture = picture if picture and picture.is_file() else None
        self._opened().end(self._told, summary_of(summary) if summary else {}, picture, summary is not None)
        self._keep(self._told, is_ended=summary is not None)

    def _opened(self) -> Sink:
        if self._sink is None:
            if self._run.folder:
                (self._run.folder / TRACKERS).mkdir(exist_ok=True)
            self._sink = SINKS[self._name](self._opening)
            self._keep(self._sink.logged, is_ended=False)
            for _, rows in itertools.groupby(self._run.rows, key=lambda row: row["block"]):
                self.tell(list(rows))
        return self._sink

    def _keep(self, env_steps: int, *, is_ended: bool) -> None:
        sink, self._told = self._opened(), env_steps
        self._bookmark = Bookmark(sink.id, sink.project, env_steps, is_ended)
        self._bookmark.write(self._run.folder, self._name)


def _is_installed(library: str) -> bool:
    spec = importlib.util.find_spec(library)
    return spec is not None and spec.origin is not None  # a folder of that name, such as wandb leaves, has no origin
