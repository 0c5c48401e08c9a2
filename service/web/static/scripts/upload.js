// One file on its way to the server, in pieces by tus: what is there stays there, whatever happens here.

const DELAYS_MS = [1000, 2000, 5000, 10_000, 20_000, 30_000, 60_000, 60_000, 60_000];
// Of answers that are no success: what may be another tomorrow, or in a moment.
const PASSING = new Set([408, 409, 423, 425, 429, 460, 500, 502, 503, 504]);
const NOT_ALLOWED = new Set([401, 403]);
const CURES = {
  401: "You are not signed in any more. Sign in again in another tab, then go on here: what was sent is kept.",
};

/**
 * `told` has the functions `moved(sent, total)`, `waits(words, seconds)`, `failed(words)` and `ended(uploadId)`.
 */
export class Upload {
  #tus;
  #told;
  #answer = null;

  constructor(file, { endpoint, pieceBytes }, told) {
    this.file = file;
    this.#told = told;
    this.#tus = new tus.Upload(file, {
      endpoint,
      chunkSize: pieceBytes,
      metadata: { filename: file.name },
      retryDelays: DELAYS_MS,
      // Until the dataset is made: a reload between the last byte and that must not lose it.
      removeFingerprintOnSuccess: false,
      onShouldRetry: (_error, attempt) => this.#waits(attempt),
      onAfterResponse: (_request, answer) => this.#remember(answer),
      onProgress: (sent, total) => {
        this.#answer = null;
        told.moved(sent, total);
      },
      onError: () => told.failed(this.#fault()),
      onSuccess: () => told.ended(this.id),
    });
  }

  /** Goes on with the same file's earlier upload, if there is one. */
  async start() {
    const earlier = await this.#tus.findPreviousUploads();
    if (earlier.length) this.#tus.resumeFromPreviousUpload(earlier.at(-1));
    this.resume();
  }

  resume() {
    this.#answer = null;
    this.#tus.start();
  }

  pause() {
    return this.#tus.abort();
  }

  async cancel() {
    await this.#tus.abort();
    if (this.#tus.url) await giveUp(this.#tus.url);
  }

  get id() {
    return this.#tus.url.split("/").at(-1);
  }

  get url() {
    return this.#tus.url;
  }

  #remember(answer) {
    const status = answer.getStatus();
    this.#answer = status < 400 ? null : { status, body: answer.getBody() };
    // tus would take an upload that it may not see for one that is gone, and begin a new one.
    if (NOT_ALLOWED.has(status)) throw new Error(`answered ${status}`);
  }

  #waits(attempt) {
    if (this.#answer && !PASSING.has(this.#answer.status)) return false;
    const words = this.#answer ? this.#fault() : "The server does not answer.";
    this.#told.waits(words, DELAYS_MS[Math.min(attempt, DELAYS_MS.length - 1)] / 1000);
    return true;
  }

  #fault() {
    if (!this.#answer) return "The server does not answer. What was sent is kept: go on when it is back.";
    const { status, body } = this.#answer;
    return CURES[status] || detailOf(body) || `The server answered ${status}.`;
  }
}

/** All that this browser has begun here, the newest last. */
export function begun() {
  return tus.defaultOptions.urlStorage.findAllUploads();
}

export async function forget(url) {
  for (const upload of await begun()) {
    if (upload.uploadUrl === url) await tus.defaultOptions.urlStorage.removeUpload(upload.urlStorageKey);
  }
}

/** The server forgets it, and so do we. */
export async function giveUp(url) {
  try {
    await fetch(url, { method: "DELETE" });
  } finally {
    await forget(url);
  }
}

function detailOf(body) {
  try {
    return JSON.parse(body).detail;
  } catch {
    return "";
  }
}
