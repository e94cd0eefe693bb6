// A network link between server and browser, imitated: a rate that all its responses share, and a round-trip time.
import { setTimeout as sleep } from 'node:timers/promises';

/** A timer may fire this late without the link losing what it could have sent meanwhile. */
const CATCH_UP_MS = 30;
/** Bytes go out in pieces of about this long, so that a reader sees them arrive smoothly. */
const PIECE_MS = 8;

export class Link {
  #freeAt = 0;
  #sockets = new WeakSet();

  /** `kbps`: bits per millisecond, Infinity for no limit; `steps`: [[seconds, kbps], …] from the first byte on, repeated. */
  constructor({ kbps = Infinity, rtt = 0, steps } = {}) {
    Object.assign(this, { kbps, rtt, steps });
    this.bytes = 0;
  }

  get rate() {
    if (!this.steps) return this.kbps;
    this.startedAt ??= performance.now();
    const length = this.steps.reduce((sum, [seconds]) => sum + seconds, 0);
    let into = ((performance.now() - this.startedAt) / 1000) % length;
    for (const [seconds, kbps] of this.steps) {
      if (into < seconds) return kbps;
      into -= seconds;
    }
    return this.steps.at(-1)[1];
  }

  /** How many bytes one piece has at the present rate. */
  get piece() {
    return this.rate === Infinity ? 65_536 : Math.min(65_536, Math.max(256, Math.ceil((this.rate * PIECE_MS) / 8)));
  }

  /** Waits for the request to arrive: one round trip, and one more where the connection is new. */
  async arrive(socket) {
    if (!this.rtt) return;
    const fresh = !this.#sockets.has(socket);
    this.#sockets.add(socket);
    await sleep(fresh ? 2 * this.rtt : this.rtt);
  }

  /** Waits until `bytes` more have passed; responses that share the link take turns. */
  async pass(bytes) {
    this.bytes += bytes;
    if (this.rate === Infinity) return;
    const now = performance.now();
    this.#freeAt = Math.max(this.#freeAt, now - CATCH_UP_MS) + (bytes * 8) / this.rate;
    if (this.#freeAt > now + 1) await sleep(this.#freeAt - now);
  }
}
