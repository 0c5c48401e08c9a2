// The losses of a training: fetched page by page, from then on only what is new; smoothed on demand.

const SMOOTHING = 0.9;

export class Losses {
  constructor(address) {
    this.address = address;
    this.names = [];
    this.rows = new Map(); // step -> losses
    this.cursor = null; // of the last page: what is new comes there
  }

  /** Whether there was something new. */
  async fetchNew() {
    const before = this.rows.size;
    let next = this.cursor;
    do {
      this.cursor = next;
      const query = new URLSearchParams({ limit: "500", ...(next && { cursor: next }) });
      const answer = await fetch(`${this.address}?${query}`);
      if (!answer.ok) throw new Error(`${answer.status}`);
      const page = await answer.json();
      for (const { step, losses } of page.items) this.rows.set(step, losses);
      next = page.next_cursor;
    } while (next);
    this.names = [...new Set([...this.rows.values()].flatMap(Object.keys))];
    return this.rows.size !== before;
  }

  get steps() {
    return [...this.rows.keys()].sort((one, other) => one - other);
  }

  values(name) {
    return this.steps.map((step) => this.rows.get(step)[name] ?? null);
  }
}

/** A running mean that does not lean towards its beginning. */
export function smoothed(values) {
  let sum = 0;
  let weight = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = SMOOTHING * sum + (1 - SMOOTHING) * value;
    weight = SMOOTHING * weight + (1 - SMOOTHING);
    return sum / weight;
  });
}

/** What a logarithm has no place for is left out. */
export function positive(values) {
  return values.map((value) => (value > 0 ? value : null));
}
