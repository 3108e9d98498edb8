"""A comparison as one HTML file that needs no network: figures, tables, curves, replays, commands."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxmarl_lite.ops import reliability
from jaxmarl_lite.view.canvas import as_address, hex_colour, new_figure
from jaxmarl_lite.view.learning import count_seeds, curves_note, draw_band, styles_of
from jaxmarl_lite.view.runs import Curve
from jaxmarl_lite.view.scores import Compared, draw_profiles, scores_note
from jaxmarl_lite.view.standings import NOTE, Aggregate, Standing, Standings, aggregates_of, between, pair, standings_of
from jaxmarl_lite.view.template import framed

_SHADES = {True: "33, 102, 172", False: "178, 24, 43"}  # the ends of matplotlib's RdBu, for better and worse
_BESIDE = 6  # algorithms, of whom a table fits beside a figure
_DASHES = {"-": "solid", "--": "dashed", ":": "dotted"}


class Replay(NamedTuple):
    """Episodes of a team."""

    title: str
    page: str
    """what `view.page` writes"""


class Report(NamedTuple):
    """All that a report tells."""

    title: str
    facts: Mapping[str, str]
    """what the whole is, by name"""
    curves: Sequence[Curve]
    """of the last and all evaluations, by algorithm and task"""
    compared: Compared | str
    """scores over all tasks, or why there are none"""
    missing: Mapping[str, str]
    """runs that are not in it, and why"""
    replays: Sequence[Replay]
    commands: Mapping[str, str]
    """by run"""
    costs: Sequence[Sequence[str]]
    """what each run cost, the first row being the names of the columns"""
    versions: Mapping[str, str]


def report_page(report: Report) -> str:
    """Return the page; raises RunError if matplotlib is not installed."""
    styles = styles_of(report.curves)
    sections = {
        "Summary": _summary(report, styles),
        "Tasks": _tasks(report.curves),
        "Curves": _curves(report.curves, styles),
        "Replays": "".join(map(_replay, report.replays)),
        "Commands": "".join(
            f"<h3>{_safe(name)}</h3><pre>{_safe(text)}</pre>" for name, text in report.commands.items()
        ),
        "Costs and versions": _table(report.costs[0], [_plain_row(row) for row in report.costs[1:]])
        + f'<dl class="facts">{_facts(report.versions)}</dl>',
    }
    sections = {name: inner for name, inner in sections.items() if inner}
    places = {name: name.split()[0].lower() for name in sections}
    return framed(
        report.title,
        "comparison",
        {
            "facts": _facts(report.facts),
            "nav": " ".join(f'<a href="#{place}">{name}</a>' for name, place in places.items()),
            "sections": "\n".join(
                f'<section id="{places[name]}"><h2>{name}</h2>{inner}</section>' for name, inner in sections.items()
            ),
        },
    )


def _summary(report: Report, styles: Mapping[str, Any]) -> str:
    names = {why: [name for name, told in report.missing.items() if told == why] for why in report.missing.values()}
    lost = "".join(f'<p class="failed">{_safe(", ".join(of))}: {_safe(why)}</p>' for why, of in names.items())
    if isinstance(report.compared, str):
        return f'{lost}<p class="note">{_safe(report.compared[:1].upper() + report.compared[1:])}</p>'
    compared = report.compared
    figure, axes = new_figure(5.0, 3.4)
    draw_profiles(axes, compared.scores, styles)
    axes.set_title("")
    profile = f"<figure><h3>Performance profile</h3>{_image(figure, 'performance profiles')}</figure>"
    layout = "two" if len(compared.scores) <= _BESIDE else "one"
    left = " Left out, for want of a run or because all evaluations were equal: " + ", ".join(compared.left_out) + "."
    return (
        f"{lost}{_aggregates(aggregates_of(compared), list(compared.scores))}"
        f'<div class="{layout}"><div>{_legend(report.curves, styles)}{profile}</div>{_chances(compared)}</div>'
        f'<p class="note">{_safe(scores_note(compared) + left * bool(compared.left_out))}</p>'
    )


def _aggregates(aggregates: Mapping[str, Mapping[str, Aggregate]], algos: Sequence[str]) -> str:
    heads = [f"{name} (less is better)" if name == "optimality gap" else name for name in aggregates]
    reach = {name: _reach(of) for name, of in aggregates.items()}
    rows = [
        [f"<td>{_safe(algo)}</td>", *(_aggregate(of[algo], *reach[name]) for name, of in aggregates.items())]
        for algo in algos
    ]
    return _table(["score over all tasks", *heads], rows)


def _reach(of: Mapping[str, Aggregate]) -> tuple[float, float]:
    ends = [end for one in of.values() for end in (one.value, *one.interval) if not math.isnan(end)]
    return min(0.0, *ends), max(1.0, *ends)


def _aggregate(one: Aggregate, low: float, high: float) -> str:
    def at(value: float) -> float:
        return 100.0 * (value - low) / (high - low)

    ends = one.interval if not math.isnan(one.interval[0]) else (one.value, one.value)
    span = f'<b style="left:{at(ends[0]):.1f}%;width:{at(ends[1]) - at(ends[0]):.1f}%"></b>'
    scale = f'<div class="scale">{span}<i style="left:{at(one.value):.1f}%"></i></div>'
    return f"<td>{one.value:.3f}{scale}<small>{between(one.interval, 2)}</small></td>"


def _chances(compared: Compared) -> str:
    """Return how likely each algorithm does better than each other, as a table."""
    algos = list(compared.scores)
    rows = [[f"<td>{_safe(x)}</td>", *(_chance(compared, x, y) for y in algos)] for x in algos]
    table = _table(["row better than column", *algos], rows)
    return f'<div class="chance"><h3>Probability of improvement</h3>{table}</div>'


def _chance(compared: Compared, x: str, y: str) -> str:
    if x == y:
        return "<td></td>"
    statistic, scores = reliability.probability_of_improvement, (compared.scores[x], compared.scores[y])
    value, ends = float(statistic(*scores)), pair(reliability.interval(statistic, *scores))
    shade = f"rgba({_SHADES[value >= 0.5]}, {1.2 * abs(value - 0.5):.2f})"
    paint = f"background: linear-gradient({shade}, {shade}), #fff"
    return f'<td class="chance-cell" style="{paint}">{value:.2f}<small>{between(ends, 2)}</small></td>'


def _tasks(curves: Sequence[Curve]) -> str:
    standings = standings_of(curves)
    algos, tasks = (list(dict.fromkeys(getattr(curve, name) for curve in curves)) for name in ("algo", "task"))
    rows = [[f"<td>{_safe(task)}</td>", *(_standing(standings, algo, task) for algo in algos)] for task in tasks]
    return f'{_table(["task", *algos], rows)}<p class="note">{_safe(NOTE)}</p>'


def _standing(standings: Standings, algo: str, task: str) -> str:
    one: Standing | None = standings.get((algo, task))
    if one is None:
        return "<td></td>"
    shown = f"{one.mean:.2f}<small>{between(one.interval, 2)}</small>"
    return f'<td class="best">{shown}</td>' if one.is_best else f"<td>{shown}</td>"


def _curves(curves: Sequence[Curve], styles: Mapping[str, Any]) -> str:
    panels = []
    for task in dict.fromkeys(curve.task for curve in curves):
        figure, axes = new_figure(5.0, 3.2)
        for curve in curves:
            if curve.task == task:
                draw_band(axes, curve, styles[curve.algo])
        axes.set_xlabel("environment steps of each seed")
        axes.set_ylabel("return, summed over agents")
        panels.append(f"<figure><h3>{_safe(task)}</h3>{_image(figure, f'curves in {task}')}</figure>")
    note = f'<p class="note">{_safe(curves_note(curves))}</p>'
    return f'{_legend(curves, styles)}<div class="panels">{"".join(panels)}</div>{note}'


def _legend(curves: Sequence[Curve], styles: Mapping[str, Any]) -> str:
    items = []
    for algo, style in styles.items():
        seeds = count_seeds(curve.values.shape[1] for curve in curves if curve.algo == algo)
        line = f"border-top-color:{hex_colour(style['color'])};border-top-style:{_DASHES[style['ls']]}"
        items.append(f'<li><i style="{line}"></i>{_safe(algo)} <span class="note">{seeds}</span></li>')
    return f'<ul class="legend">{"".join(items)}</ul>'


def _replay(replay: Replay) -> str:
    frame = f'<iframe sandbox="allow-scripts" loading="lazy" srcdoc="{_safe(replay.page)}"></iframe>'
    return f"<details><summary>{_safe(replay.title)}</summary>{frame}</details>"


def _image(figure: Any, name: str) -> str:
    return f'<img alt="{_safe(name)}" src="{as_address(figure)}">'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of cells that are HTML already, under names that are not."""
    heads = "".join(f"<th>{_safe(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def _plain_row(row: Sequence[str]) -> list[str]:
    return [f"<td>{_safe(cell)}</td>" for cell in row]


def _facts(facts: Mapping[str, str]) -> str:
    return "".join(f"<div><dt>{_safe(name)}</dt><dd>{_safe(value)}</dd></div>" for name, value in facts.items())


def _safe(text: str) -> str:
    return html.escape(text, quote=True)
