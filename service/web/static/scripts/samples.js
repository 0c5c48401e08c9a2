// The pictures that a training left, step by step, below a slider. At its end it follows the newest.

import { keep } from "./kept.js";

class Samples {
  constructor(element) {
    this.element = element;
    this.slider = element.querySelector("input");
    this.steps = [];
    this.slider.addEventListener("input", () => this.show());
    this.refresh();
  }

  refresh() {
    const told = document.querySelector(`[data-samples-of="${this.element.id}"]`);
    const steps = (told?.dataset.steps ?? "").split(" ").filter(Boolean).map(Number);
    if (steps.length === this.steps.length) return;
    const follows = Number(this.slider.value) >= this.steps.length - 1;
    this.steps = steps;
    this.slider.max = steps.length - 1;
    if (follows) this.slider.value = steps.length - 1;
    this.show();
  }

  show() {
    const step = this.steps[Number(this.slider.value)];
    const words = step.toLocaleString("en");
    this.element.querySelector("[data-samples-step]").textContent = words;
    this.slider.setAttribute("aria-valuetext", `after ${words} steps`);
    const picture = this.element.querySelector("img");
    const address = `${this.element.dataset.samples}/${step}`;
    if (picture.getAttribute("src") !== address) picture.src = address;
    picture.alt = `Examples after ${words} steps`;
  }
}

keep("[data-samples]", (element) => {
  const samples = new Samples(element);
  return () => samples.refresh();
});
