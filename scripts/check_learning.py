"""Train a few rows of benchmarks/learning.md again, with other seeds, and say whether their returns have moved.

python scripts/check_learning.py                        # six rows, some five minutes on two cores
python scripts/check_learning.py --only twin-coma       # chosen rows; --all has every one and takes hours
python scripts/check_learning.py --seed 7 --json        # other seeds again; a line of JSON for each row

A row has moved if the mean of its m new seeds lies outside the prediction interval that its n stored seeds give,
mean +- t(n - 1) s sqrt(1/n + 1/m) (Hahn and Meeker 1991, chapter 4): nothing of the new seeds widens it, so one that
fails does not hide itself. It is exact if seeds' returns are normal and nothing has changed. Rows share --level equally
(Bonferroni), so it bounds the chance of any false alarm, and half of it that of a false fall. Where all stored seeds
reached the same there is no spread to judge by: the new mean may then differ by --tolerance, and how often it does by
chance is not known.

Exits with status 1 if the return of a row fell or training it failed, 2 if a row is not stored.
"""

import argparse
import contextlib
import io
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.stats

from jaxmarl_lite.cli.main import main as jaxmarl_lite

STORED = Path(__file__).parents[1] / "benchmarks" / "results" / "learning.json"
# Quick ones of every family, on a world of particles, of the grid and of games.
DEFAULT = ("twin-ippo", "twin-maa2c", "spread-impala", "navigation-qmix", "navigation-pqn", "prisoners_dilemma-facmac")


class Verdict(NamedTuple):
    """What became of a row."""

    row: str
    stored: float
    allowed: tuple[float, float]
    """in which the mean of the new seeds is expected"""
    returns: list[float]
    """of the new seeds; none if training failed"""
    said: str
    """within, up, down or failed"""


def allowed(stored: Sequence[float], count: int, level: float, tolerance: float) -> tuple[float, float]:
    """Return where the mean of `count` new seeds lies with probability 1 - `level`, if nothing has changed.

    At the least `tolerance` of the stored mean's size, or of 1, to either side.
    """
    old = np.asarray(stored, np.float64)
    mean, half = old.mean(), tolerance * max(1.0, abs(old.mean()))
    if len(old) > 1:
        error = old.std(ddof=1) * (1 / len(old) + 1 / count) ** 0.5
        half = max(half, scipy.stats.t.ppf(1 - level / 2, len(old) - 1) * error)
    return float(mean - half), float(mean + half)


def judge(row: str, stored: Sequence[float], returns: list[float], level: float, tolerance: float) -> Verdict:
    """Return what new returns say of a row; `level` is that of this row alone."""
    low, high = allowed(stored, len(returns) or 1, level, tolerance)
    mean = np.mean(returns) if returns else np.nan
    said = "failed" if not returns else "down" if mean < low else "up" if mean > high else "within"
    return Verdict(row, float(np.mean(stored)), (low, high), returns, said)


def train(arguments: str, seed: int, out: Path) -> list[float]:
    """Train a row anew and return the return of each seed; none if it failed, which has then said why."""
    words = ["train", *shlex.split(arguments), "--seed", str(seed), "--out", str(out), "--overwrite", "--json"]
    try:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            status = jaxmarl_lite(words)
    except (SystemExit, Exception) as error:  # words that are no longer understood, or a fault: other rows go on
        print(f"error: train {arguments}: {type(error).__name__}: {error}", file=sys.stderr)
        return []
    return [] if status else json.loads(printed.getvalue())["eval"]["return_sum_per_seed"]


def show(verdicts: Sequence[Verdict], level: float) -> None:
    """Print a table of the verdicts, and how far they can be trusted."""
    print(f"{'row':28} {'stored':>9} {'allowed':>21} {'now':>9}  {'per seed':36} moved")
    for one in verdicts:
        between = f"[{one.allowed[0]:.2f}, {one.allowed[1]:.2f}]"
        now = f"{np.mean(one.returns):.2f}" if one.returns else "-"
        each = " ".join(f"{value:.1f}" for value in one.returns)
        print(f"{one.row:28} {one.stored:9.2f} {between:>21} {now:>9}  {each:36} {one.said}")
    print(
        f"If nothing has changed, some row is said to have moved with a chance of at most {level:.1%}, "
        f"and to have fallen {level / 2:.1%};\nof rows whose stored seeds all reached the same it is not known."
    )


def options() -> argparse.ArgumentParser:
    """Return what the script can be told."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--only", nargs="+", metavar="ROW", help=f"rows; left out: {', '.join(DEFAULT)}")
    which.add_argument("--all", action="store_true", help="every row that is stored")
    parser.add_argument("--seed", type=int, default=1, help="of the new runs; the stored ones have 0")
    parser.add_argument("--level", type=float, default=0.05, help="chance of a false alarm, of all rows together")
    parser.add_argument("--tolerance", type=float, default=0.01, help="share of a return by which it may always differ")
    parser.add_argument("--stored", type=Path, default=STORED, help="figures to compare with")
    parser.add_argument("--runs", type=Path, default=Path("runs/check"), help="folder of the new runs")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each row instead of a table")
    return parser


def main() -> None:
    """Train the rows and say what has moved."""
    parser = options()
    given = parser.parse_args()
    if not given.stored.is_file():
        parser.error(f"{given.stored} is not there: `scripts/learning_table.py --out benchmarks/learning.md` makes it.")
    stored = json.loads(given.stored.read_text())
    chosen = given.only or [row for row in stored if given.all or row in DEFAULT]
    unknown = [row for row in chosen if row not in stored]
    if unknown or not chosen:
        parser.error(f"{', '.join(unknown or DEFAULT)} is not stored; there are: {', '.join(stored)}.")
    level, verdicts = given.level / len(chosen), []
    for row in chosen:
        returns = train(stored[row]["arguments"], given.seed, given.runs / row)
        verdicts.append(judge(row, stored[row]["return_sum_per_seed"], returns, level, given.tolerance))
        if given.json:
            print(json.dumps(verdicts[-1]._asdict()), flush=True)
    if not given.json:
        show(verdicts, given.level)
    sys.exit(any(one.said in ("down", "failed") for one in verdicts))


if __name__ == "__main__":
    main()
