// The page. numbers.js stands before it.

const byId = (id) => document.getElementById(id);

/** A new element; texts among its children are never taken for markup. */
function make(tag, attributes = {}, ...children) {
  const isDrawing = ["svg", "path", "line", "rect"].includes(tag);
  const element = isDrawing ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

class Replay {
  constructor(data) {
    this.data = data;
    this.fps = 8;
    this.timer = null;
    this.kept = 0; // the agent whose card is shown
    this.pointed = null; // the agent under the pointer
    this.build();
    this.follow();
  }

  get steps() {
    return this.episode.reward.length - 1;
  }

  build() {
    const { agents, about, episodes, size } = this.data;
    byId("about").replaceChildren(...Object.entries(about).map(([name, text]) =>
      make("div", {}, make("dt", {}, name), make("dd", {}, text))));
    byId("episode").replaceChildren(...episodes.map((_, place) => make("option", { value: place }, `${place + 1}`)));
    byId("speed").replaceChildren(...SPEEDS.map((fps) => make("option", { value: fps }, `${fps} steps/s`)));
    byId("speed").value = this.fps;
    this.rows = [...agents, { name: "all together", colour: "currentColor" }].map((agent) => this.row(agent));
    this.rows.forEach((row, agent) => this.listen(row.element, agent));
    this.rows.at(-1).element.classList.add("sum");
    byId("rows").replaceChildren(...this.rows.map((row) => row.element));
    byId("stage").hidden = !size;
    this.marks = size ? agents.map((_, agent) => this.listen(make("rect", { rx: 6 }), agent)) : [];
    if (size) byId("marks").setAttribute("viewBox", `0 0 ${size.join(" ")}`);
    byId("marks").replaceChildren(...this.marks);
    this.control();
  }

  row({ name, colour }) {
    const cells = ["action", "reward", "return"].map(() => make("td"));
    const all = make("path", { class: "all", stroke: colour });
    const past = make("path", { stroke: colour });
    const now = make("line", { y1: 0, y2: 100 });
    const curve = make("svg", { class: "curve", viewBox: "0 0 100 100", preserveAspectRatio: "none" }, all, past, now);
    curve.addEventListener("click", (event) => {
      const box = curve.getBoundingClientRect();
      this.show(Math.round((this.steps * (event.clientX - box.left)) / box.width));
    });
    const dot = make("span", { class: "dot", style: `background:${colour}` });
    const element = make("tr", {}, make("td", {}, dot, name), ...cells, make("td", {}, curve));
    return { element, cells, all, past, now };
  }

  /** Let an element stand for an agent: pointing at it shows the agent's card, a click keeps it. */
  listen(element, agent) {
    if (agent >= this.data.agents.length) return element;
    const isRow = element.tagName.toLowerCase() === "tr";
    if (isRow) element.setAttribute("tabindex", 0);
    const point = (pointed) => (event) => {
      this.pointed = pointed;
      this.tip(event);
      this.mark();
    };
    for (const type of ["pointerenter", "pointermove", "focus"]) element.addEventListener(type, point(agent));
    for (const type of ["pointerleave", "blur"]) element.addEventListener(type, point(null));
    element.addEventListener("click", () => {
      this.kept = agent;
      this.mark();
    });
    return element;
  }

  control() {
    const actions = {
      first: () => this.go(0),
      back: () => this.go(this.step - 1),
      play: () => this.toggle(),
      forward: () => this.go(this.step + 1),
      last: () => this.go(this.steps),
    };
    for (const [id, action] of Object.entries(actions)) byId(id).addEventListener("click", action);
    byId("slider").addEventListener("input", (event) => this.go(Number(event.target.value)));
    byId("episode").addEventListener("change", (event) => this.choose(Number(event.target.value)));
    byId("speed").addEventListener("change", (event) => this.pace(Number(event.target.value)));
    document.addEventListener("keydown", (event) => this.key(event, actions));
    window.addEventListener("hashchange", () => this.follow());
  }

  key(event, actions) {
    const at = event.target.tagName;
    const isTyping = at === "SELECT" || (at === "BUTTON" && event.key === " ");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = {
      " ": actions.play,
      ArrowLeft: actions.back,
      ArrowRight: actions.forward,
      Home: actions.first,
      End: actions.last,
      PageUp: () => this.choose(this.number - 1),
      PageDown: () => this.choose(this.number + 1),
      "+": () => this.pace(SPEEDS[SPEEDS.indexOf(this.fps) + 1] ?? this.fps),
      "-": () => this.pace(SPEEDS[SPEEDS.indexOf(this.fps) - 1] ?? this.fps),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  }

  follow() {
    const { episode, step } = placeIn(window.location.hash, this.data.episodes);
    this.choose(episode, step);
  }

  choose(number, step = 0) {
    this.number = clamp(number, 0, this.data.episodes.length - 1);
    this.episode = this.data.episodes[this.number];
    this.returns = returnsOf(this.episode);
    this.range = rangeOf(this.returns.slice(0, -1));
    this.total = rangeOf(this.returns.slice(-1));
    byId("episode").value = this.number;
    byId("slider").max = this.steps;
    this.rows.forEach(({ all }, place) => all.setAttribute("d", pathOf(this.returns[place], this.scale(place), this.steps)));
    this.show(step);
  }

  scale(place) {
    return place < this.data.agents.length ? this.range : this.total;
  }

  /** Show a step that was asked for, and stop there. */
  go(step) {
    this.pause();
    this.show(step);
    window.history.replaceState(null, "", `#episode=${this.number + 1}&step=${this.step}`);
  }

  show(step) {
    this.step = clamp(step, 0, this.steps);
    const { image, place } = this.episode;
    if (image) {
      byId("picture").setAttribute("src", this.data.images[image[this.step]]);
      byId("picture").setAttribute("alt", `episode ${this.number + 1}, step ${this.step}`);
      this.marks.forEach((mark, agent) => frame(mark, place[this.step][agent]));
    }
    byId("slider").value = this.step;
    byId("clock").replaceChildren(`step ${this.step} of ${this.steps}`);
    byId("end").replaceChildren(this.step === this.steps ? this.episode.end : "");
    this.rows.forEach((row, agent) => this.fill(row, agent));
    this.mark();
  }

  fill({ element, cells, past, now }, place) {
    const isAgent = place < this.data.agents.length;
    const { action, reward, active } = this.facts(place);
    const texts = [isAgent ? formatAction(action) : "", format(reward), format(this.returns[place][this.step])];
    cells.forEach((cell, column) => cell.replaceChildren(texts[column]));
    past.setAttribute("d", pathOf(this.returns[place].slice(0, this.step + 1), this.scale(place), this.steps));
    const x = (100 * this.step) / Math.max(this.steps, 1);
    for (const end of ["x1", "x2"]) now.setAttribute(end, x);
    element.classList.toggle("out", !active);
  }

  facts(agent) {
    const { obs, reward, action, active } = this.episode;
    const rewards = reward[this.step];
    if (agent >= rewards.length) return { reward: rewards.reduce((sum, x) => sum + (x ?? 0), 0), active: true };
    return {
      obs: obs[this.step][agent],
      action: action[this.step]?.[agent],
      reward: rewards[agent],
      active: Boolean(active[this.step][agent]),
    };
  }

  /** Everything about an agent at this step. */
  card(agent) {
    const { name, colour } = this.data.agents[agent];
    const { obs, action, reward, active } = this.facts(agent);
    const pairs = { action: formatAction(action), reward: format(reward), return: format(this.returns[agent][this.step]) };
    const facts = Object.entries(pairs).map(([label, text]) => make("span", {}, `${label} `, make("b", {}, text)));
    const largest = Math.max(...obs.map((value) => Math.abs(value ?? 0)), 1e-9);
    const numbers = obs.map((value, index) => {
      const share = `--share:${((70 * Math.abs(value ?? 0)) / largest).toFixed(0)}%`;
      const style = `--tint:var(--${value < 0 ? "minus" : "plus"});${share}`;
      return make("span", { style, title: `observation ${index}` }, make("i", {}, `${index}`), format(value));
    });
    const heading = make("b", {}, make("span", { class: "dot", style: `background:${colour}` }), name);
    return [
      make("div", { class: "facts" }, heading, active ? "" : make("span", {}, "inactive"), ...facts),
      make("div", { class: "numbers" }, ...numbers),
    ];
  }

  /** Show which agent is pointed at, or was kept. */
  mark() {
    const shown = this.pointed ?? this.kept;
    for (const elements of [this.rows.map((row) => row.element), this.marks]) {
      elements.forEach((element, agent) => element.classList.toggle("on", agent === this.pointed));
    }
    this.rows.forEach(({ element }, agent) => element.classList.toggle("kept", agent === this.kept));
    byId("card").replaceChildren(...this.card(shown));
    if (!byId("tip").hidden) byId("tip").replaceChildren(...this.card(shown));
  }

  /** The card beside the pointer; the keyboard has the one below the table. */
  tip(event) {
    const tip = byId("tip");
    tip.hidden = this.pointed === null || event.clientX === undefined;
    if (tip.hidden) return;
    tip.replaceChildren(...this.card(this.pointed));
    const box = tip.getBoundingClientRect();
    const isRight = event.clientX + 18 + box.width < window.innerWidth;
    tip.style.left = `${Math.max(4, isRight ? event.clientX + 18 : event.clientX - 18 - box.width)}px`;
    tip.style.top = `${clamp(event.clientY + 14, 4, Math.max(4, window.innerHeight - box.height - 8))}px`;
  }

  pace(fps) {
    this.fps = fps;
    byId("speed").value = fps;
    if (this.timer !== null) this.wait();
  }

  toggle() {
    if (this.timer !== null) return this.go(this.step);
    if (this.step === this.steps) this.choose((this.number + 1) % this.data.episodes.length);
    byId("play").setAttribute("aria-label", "pause");
    return this.wait();
  }

  wait() {
    clearTimeout(this.timer);
    const turns = this.step === this.steps ? BETWEEN_EPISODES : 1;
    this.timer = setTimeout(() => this.tick(), (1000 * turns) / this.fps);
  }

  /** Go on by a step, and from the end of an episode to the next; stop at the end of the last. */
  tick() {
    if (this.step < this.steps) this.show(this.step + 1);
    else if (this.number < this.data.episodes.length - 1) this.choose(this.number + 1);
    const isOver = this.step === this.steps && this.number === this.data.episodes.length - 1;
    if (isOver) this.pause();
    else this.wait();
  }

  pause() {
    clearTimeout(this.timer);
    this.timer = null;
    byId("play").setAttribute("aria-label", "play");
  }
}

function frame(mark, place) {
  const margin = 4;
  const [left, top, width, height] = place ?? [0, 0, -2 * margin, -2 * margin];
  const box = { x: left - margin, y: top - margin, width: width + 2 * margin, height: height + 2 * margin };
  for (const [name, value] of Object.entries(box)) mark.setAttribute(name, value);
}

const replay = new Replay(JSON.parse(byId("data").textContent));
