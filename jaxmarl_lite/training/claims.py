"""Who works on which run, among processes that share a folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from jaxmarl_lite.core.errors import RunError, SettingError

_PATIENCE = 0.2  # seconds; asking whether a folder is claimed claims it for a moment
FOREVER = -1.0


@contextmanager
def claim(path: Path, seconds: float = _PATIENCE) -> Iterator[bool]:
    """Hold the right to write to a path, against all other processes and threads; False if one has it for `seconds`.

    Who holds it may claim it again. The operating system takes it from a process that dies, whatever way.
    """
    path = path.resolve()
    lock = filelock.FileLock(_lock_of(path), is_singleton=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=seconds)
    except filelock.Timeout:
        yield False
        return
    except OSError as error:
        raise SettingError(f"out={str(path.parent)!r} cannot be written: {error.strerror}.") from None
    try:
        yield True
    finally:
        lock.release()


def _lock_of(path: Path) -> Path:
    """Return the file that is locked: beside the folder, which may not be there yet, or in it if that is forbidden."""
    if path.is_dir() and not os.access(path.parent, os.W_OK):
        return path / ".claim"
    return path.parent / f".{path.name}.claim"  # hidden from `plot runs/*/*`


@contextmanager
def hold(path: str | Path | None) -> Iterator[None]:
    """Claim a folder, if one is given; raises RunError if another process works on it."""
    if path is None:
        yield
        return
    with claim(Path(path)) as is_mine:
        if not is_mine:
            raise RunError(f"another process works on {str(path)!r}: wait for its end, or choose another folder.")
        yield


def is_claimed(path: Path) -> bool:
    """Return whether a process trains in a folder."""
    if not path.parent.exists():
        return False
    with claim(path) as is_mine:
        return not is_mine
