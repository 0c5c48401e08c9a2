// How sizes and times are written, as the server writes them, and how fast something goes.

const UNITS = ["B", "kB", "MB", "GB", "TB"];
const WINDOW_MS = 6000;

/** `1.2 GB` */
export function size(bytes) {
  const power = bytes < 1000 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log(bytes) / Math.log(1000)));
  return `${(bytes / 1000 ** power).toFixed(power ? 1 : 0)} ${UNITS[power]}`;
}

/** `2 h 5 min` */
export function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export function percent(share) {
  return `${Math.floor(100 * share)} %`;
}

/** Bytes per second over the last few seconds: what a line does now, not what it did an hour ago. */
export class Speed {
  #samples = [];

  add(bytes) {
    const now = performance.now();
    this.#samples.push([now, bytes]);
    while (this.#samples.length > 2 && now - this.#samples[0][0] > WINDOW_MS) this.#samples.shift();
  }

  get value() {
    if (this.#samples.length < 2) return null;
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    return last[0] === first[0] ? null : (1000 * (last[1] - first[1])) / (last[0] - first[0]);
  }
}
