"""Pictures of the pistons and the ball: what the reference shows its agents, and what people are shown."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxmarl_lite.core.env import Array
from jaxmarl_lite.environments.butterfly.disc import HEAD_RADIUS, PITCH, RADIUS, Disc

# Colours and measures of the reference's pictures.
WHITE, BLUE = (255, 255, 255), (65, 159, 221)
WALL_INNER, WALL_OUTER = (68, 76, 77), (58, 64, 65)
RIM, SPOKE = (137, 153, 153), WALL_OUTER
LUMA = (0.299, 0.587, 0.114)
"""shares of red, green and blue in grey (ITU-R BT.601)"""
TOP, BOTTOM = 40.0, 497.0
"""y of the first row of a crop, and behind its last"""
CROP = 3
"""pistons in a crop"""
HEAD_HEIGHT, RIM_WIDTH = 11.0, 3.0
ROD_LEFT, ROD_RIGHT = 11.0, 29.0
SPOKE_WIDTH = 3.0


def shape(pixel: int, rgb: bool) -> tuple[int, ...]:
    """Return rows, columns and colours of one piston's crop."""
    return int((BOTTOM - TOP) // pixel), int(CROP * PITCH // pixel), 3 if rgb else 1


def crops(pos: Array, angle: Array, pistons: Array, pixel: int, rgb: bool) -> Array:
    """Return what each piston sees of a ball at `pos` [2] turned by `angle`: itself and its neighbours, in [0, 1].

    A pixel has the colour of the point at its middle; [A, rows, columns, colours].
    """
    rows, columns, _ = shape(pixel, rgb)
    num, width = len(pistons), columns // CROP
    x = jnp.asarray(pixel * (np.arange(width * (num + 2)) + 0.5), jnp.float32)
    y = jnp.asarray(TOP + pixel * (np.arange(rows) + 0.5), jnp.float32)[:, None]
    colours = [_screen(channel, x, y, pos, angle, pistons, width) for channel in _channels(rgb)]
    screen = jnp.stack(colours, axis=-1)
    return jnp.stack([screen[:, i * width : i * width + columns] for i in range(num)])


def _channels(rgb: bool) -> list[tuple[float, float, float]]:
    return [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)] if rgb else [LUMA]


def _screen(
    channel: tuple[float, float, float], x: Array, y: Array, pos: Array, angle: Array, pistons: Array, width: int
) -> Array:
    """Return one channel of the whole screen, [rows, columns]: ball, then heads, rods and walls over it."""

    def shade(colour):
        return float(np.dot(channel, colour)) / 255.0

    right, down = x - jnp.floor(pos[0]), y - jnp.floor(pos[1])
    along = right * jnp.cos(angle) + down * jnp.sin(angle)
    across = down * jnp.cos(angle) - right * jnp.sin(angle)
    in_spoke = (along > 0.0) & (along < RADIUS - 1.0) & (jnp.abs(across) < 0.5 * SPOKE_WIDTH)
    in_ball = right * right + down * down < RADIUS * RADIUS
    screen = jnp.where(in_ball, jnp.where(in_spoke, shade(SPOKE), shade(BLUE)), shade(WHITE))
    below = y - jnp.floor(jnp.pad(jnp.repeat(pistons, width), width) - HEAD_RADIUS)
    within = x % PITCH
    rim = jnp.minimum(below, HEAD_HEIGHT - below) < RIM_WIDTH
    rim |= jnp.minimum(within, PITCH - within) < RIM_WIDTH
    in_head = (below > 0.0) & (below < HEAD_HEIGHT)
    in_rod = (below > HEAD_HEIGHT) & (within > ROD_LEFT) & (within < ROD_RIGHT)
    screen = jnp.where(in_head, jnp.where(rim, shade(RIM), shade(WALL_INNER)), screen)
    screen = jnp.where(in_rod, shade(BLUE), screen)
    side = jnp.minimum(x, PITCH * (len(pistons) + 2) - x)
    return jnp.where(side < PITCH, jnp.where(side < 0.5 * PITCH, shade(WALL_OUTER), shade(WALL_INNER)), screen)


def draw(axes: Any, ball: Disc, pistons: Array) -> None:
    """Draw ball, pistons and walls on matplotlib axes, in pixels, y down."""
    from matplotlib import patches

    floor, wall, sky = "#2f3b45", "#46545f", "#f4f7f9"
    right = PITCH * (len(pistons) + 1)
    axes.set(xlim=(0, right + PITCH), ylim=(540, 250), aspect="equal", xticks=[], yticks=[], facecolor=sky)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for i, y in enumerate(np.asarray(pistons)):
        x = PITCH * (i + 1)
        axes.add_patch(patches.Rectangle((x + ROD_LEFT, y), ROD_RIGHT - ROD_LEFT, 520 - y, color="#8fb4d0", lw=0))
        shape = patches.FancyBboxPatch(
            (x + 1, y - HEAD_RADIUS), PITCH - 2, 2 * HEAD_RADIUS, f"round,pad=0,rounding_size={HEAD_RADIUS:g}"
        )
        shape.set(facecolor="#2b6c99", linewidth=0, gid=f"agent {i}")
        axes.add_patch(shape)
    for corner, width, height in (((0, 250), PITCH, 290), ((right, 250), PITCH, 290), ((0, 500), right + PITCH, 40)):
        axes.add_patch(patches.Rectangle(corner, width, height, color=floor if width > PITCH else wall, lw=0))
    axes.plot([PITCH, PITCH], [250, 500], color="#3aa655", lw=3, solid_capstyle="butt")
    (x, y), angle = np.asarray(ball.pos), float(ball.angle)
    axes.add_patch(patches.Circle((x, y), RADIUS, facecolor="#f2a541", edgecolor="#b8701a", lw=1.5))
    for turn, length in ((0.0, 0.9), (math.pi, 0.35)):
        end = x + length * RADIUS * math.cos(angle + turn), y + length * RADIUS * math.sin(angle + turn)
        axes.plot([x, end[0]], [y, end[1]], color="#7a4a10", lw=2, solid_capstyle="round")
    axes.add_patch(patches.Circle((x, y), 4, color="#7a4a10"))
