// Loss curves by uPlot, for every element with `data-curves`: the address of a training's losses.

import { keep } from "./kept.js";
import { Losses, positive, smoothed } from "./losses.js";

const COLOURS = 8;
const HEIGHT_PX = 300;
const LEAST_MS = 2000;
const MOST_ROWS = 60;

class Curves {
  constructor(element) {
    this.element = element;
    this.room = element.querySelector(".curves-plot");
    this.hint = element.querySelector("[data-curves-hint]");
    this.losses = new Losses(element.dataset.curves);
    this.hidden = new Set();
    this.fetchedAt = -LEAST_MS;
    for (const toggle of element.querySelectorAll("[data-smooth], [data-log]")) {
      toggle.addEventListener("change", () => this.draw());
    }
    new ResizeObserver(() => this.plot?.setSize(this.size)).observe(this.room);
    const redraw = () => this.draw();
    new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  }

  get size() {
    return { width: Math.max(200, this.room.clientWidth), height: HEIGHT_PX };
  }

  /** What is new, at most every two seconds; the last word is never left out. */
  refresh() {
    const wait = this.fetchedAt + LEAST_MS - performance.now();
    if (wait > 0) {
      this.later ??= setTimeout(() => this.refresh(), wait);
      return;
    }
    this.later = clearTimeout(this.later);
    this.fetchedAt = performance.now();
    this.losses.fetchNew().then(
      (hasNew) => hasNew && this.draw(),
      () => this.say("The losses cannot be fetched just now."),
    );
  }

  say(text) {
    this.hint.textContent = text;
    this.hint.hidden = text === "";
  }

  isOn(toggle) {
    return this.element.querySelector(`[data-${toggle}]`).checked;
  }

  draw() {
    if (this.losses.names.length === 0) return;
    this.plot?.destroy();
    this.showNames();
    this.plot = new uPlot(this.options(), this.data(), this.room);
    this.showValues(this.plot);
    this.showTable();
    this.say("");
    this.element.dataset.drawn = `${this.losses.rows.size}`;
  }

  /** Smooth lines lie over what they were made of, which is pale. */
  data() {
    const clean = this.isOn("log") ? positive : (values) => values;
    const lines = this.losses.names.map((name) => clean(this.losses.values(name)));
    return [this.losses.steps, ...lines, ...(this.isOn("smooth") ? lines.map(smoothed) : [])];
  }

  options() {
    const style = getComputedStyle(this.element);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--ink-soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    const isSmooth = this.isOn("smooth");
    const line = (name, number, more) => ({
      label: name,
      stroke: colour(`--arm-${(number + 1) % COLOURS}`),
      show: !this.hidden.has(name),
      spanGaps: true,
      points: { show: this.losses.rows.size < 3 },
      ...more,
    });
    const first = { width: isSmooth ? 1 : 2, alpha: isSmooth ? 0.3 : 1 };
    const { names } = this.losses;
    return {
      ...this.size,
      legend: { show: false },
      cursor: { drag: { x: true, y: false }, y: false },
      scales: { x: { time: false }, y: { distr: this.isOn("log") ? 3 : 1 } },
      axes: [axis, { ...axis, size: 60 }],
      series: [
        { label: "step" },
        ...names.map((name, number) => line(name, number, first)),
        ...(isSmooth ? names.map((name, number) => line(name, number, { width: 2 })) : []),
      ],
      hooks: { setCursor: [(plot) => this.showValues(plot)] },
    };
  }

  /** A button for each loss draws it or leaves it out, and says its value: below the mouse, or the last. */
  showNames() {
    const list = this.element.querySelector(".curves-names");
    if (list.children.length === this.losses.names.length) return;
    list.replaceChildren(...this.losses.names.map((name, number) => this.nameButton(name, number)));
  }

  nameButton(name, number) {
    const [item, button, swatch, value] = ["li", "button", "i", "span"].map((tag) => document.createElement(tag));
    button.type = "button";
    button.setAttribute("aria-pressed", String(!this.hidden.has(name)));
    swatch.className = `arm-swatch arm-${(number + 1) % COLOURS}`;
    value.dataset.value = name;
    button.append(swatch, name, value);
    button.addEventListener("click", () => {
      if (!this.hidden.delete(name)) this.hidden.add(name);
      button.setAttribute("aria-pressed", String(!this.hidden.has(name)));
      this.draw();
    });
    item.append(button);
    return item;
  }

  showValues(plot) {
    for (const place of this.element.querySelectorAll("[data-value]")) {
      const values = plot.data[1 + this.losses.names.indexOf(place.dataset.value)];
      const value = values?.[plot.cursor.idx ?? values.length - 1];
      place.textContent = typeof value === "number" ? ` ${value.toPrecision(3)}` : "";
    }
  }

  /** Evenly chosen where there are many; the last is always there. */
  showTable() {
    const { steps, names, rows } = this.losses;
    const every = Math.ceil(steps.length / MOST_ROWS);
    const chosen = steps.filter((_, place) => (steps.length - 1 - place) % every === 0);
    const table = this.element.querySelector("table");
    table.tHead.replaceChildren(row("th", ["Step", ...names]));
    table.tBodies[0].replaceChildren(
      ...chosen.map((step) => row("td", [step, ...names.map((name) => rows.get(step)[name]?.toPrecision(4) ?? "–")])),
    );
  }
}

function row(tag, texts) {
  const made = document.createElement("tr");
  for (const text of texts) {
    const cell = document.createElement(tag);
    cell.className = "number";
    if (tag === "th") cell.scope = "col";
    cell.textContent = text;
    made.append(cell);
  }
  return made;
}

keep("[data-curves]", (element) => {
  const curves = new Curves(element);
  curves.refresh();
  return () => curves.refresh();
});
