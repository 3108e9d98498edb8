"use strict";

// What is worked out from an episode; nothing here touches the page.

const SPEEDS = [1, 2, 4, 8, 16, 32]; // steps a second
const BETWEEN_EPISODES = 6; // steps that an episode's last picture stays

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** A number as people read it; null, which stands for what is not finite, is a dash. */
function format(value) {
  if (value === null || value === undefined) return "–";
  if (Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  return size < 0.01 ? value.toPrecision(2) : value.toFixed(size < 100 ? 2 : size < 10000 ? 1 : 0);
}

function formatAction(action) {
  return Array.isArray(action) ? action.map(format).join("  ") : format(action);
}

/** Returns so far of each agent, and of all together last: [agents + 1][steps]. */
function returnsOf(episode) {
  const sums = episode.reward[0].map(() => 0);
  const rows = episode.reward.map((rewards) => {
    rewards.forEach((reward, agent) => { sums[agent] += reward ?? 0; });
    return [...sums, sums.reduce((total, sum) => total + sum, 0)];
  });
  return rows[0].map((_, place) => rows.map((row) => row[place]));
}

/** Least and greatest number of several series, 0 among them. */
function rangeOf(series) {
  return series.flat().reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [0, 0]);
}

/** The SVG path of values over steps, in a box of 100 by 100 with `low` at the bottom. */
function pathOf(values, [low, high], steps) {
  const x = (step) => (100 * step) / Math.max(steps, 1);
  const y = (value) => 100 - (100 * (value - low)) / (high - low || 1);
  return values.map((value, step) => `${step ? "L" : "M"}${x(step).toFixed(2)} ${y(value).toFixed(2)}`).join("");
}

/** The episode and step, counted from 0, that the end of an address asks for: #episode=2&step=10. */
function placeIn(hash, episodes) {
  const asked = new URLSearchParams(hash.replace(/^#/, ""));
  const episode = clamp(Math.trunc(Number(asked.get("episode") ?? 1)) - 1 || 0, 0, episodes.length - 1);
  const step = clamp(Math.trunc(Number(asked.get("step") ?? 0)) || 0, 0, episodes[episode].reward.length - 1);
  return { episode, step };
}
