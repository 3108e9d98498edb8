"""How far a tracker was told of a run, kept in the run's folder, so that going on neither repeats nor leaves out."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from jaxmarl_lite.tracking.names import LIBRARIES
from jaxmarl_lite.training import checkpoint
from jaxmarl_lite.training.folder import TRACKERS


@dataclass(frozen=True)
class Bookmark:
    """Nothing in it is secret, and nothing of it is needed to go on training."""

    id: str | None = None
    """of the tracker's own run; None before there is one"""
    project: str | None = None
    """what the tracker's run was put into"""
    env_steps: int = 0
    """of the last block that the tracker was told of"""
    is_ended: bool = False
    """the tracker was told of the end too"""

    @classmethod
    def read(cls, run: Path | None, name: str) -> Self:
        """Return the bookmark of a tracker in a run's folder; a new one where there is none that can be used."""
        try:
            saved = cls(**json.loads(_path(run, name).read_text())) if run else cls()
        except (OSError, ValueError, TypeError):
            return cls()
        return saved if saved._is_sound() else cls()

    def _is_sound(self) -> bool:
        named = all(isinstance(name, str | None) for name in (self.id, self.project))
        return named and isinstance(self.env_steps, int) and isinstance(self.is_ended, bool)

    def write(self, run: Path | None, name: str) -> None:
        """Keep the bookmark in a run's folder, if there is one."""
        if run is not None:
            checkpoint.write_text(_path(run, name), json.dumps(asdict(self), indent=2))


def remembered(run: Path) -> list[str]:
    """Return the trackers that were told of the run in a folder."""
    return [name for name in LIBRARIES if _path(run, name).is_file()]


def _path(run: Path, name: str) -> Path:
    return run / TRACKERS / f"{name}.json"
