// A network link between server and browser, imitated: a rate that all its responses share, and a round-trip time.
import { setTimeout as sleep } from 'node:timers/promises';

/** A timer may fire this late without the link losing what it could have sent meanwhile. */
const CATCH_UP_MS = 30;
/** Bytes go out in pieces of about this long, so that a reader sees them arrive smoothly. */
const PIECE_MS = 8;

export class Link {
  #freeAt = 0;
  #sockets = new WeakSet();

  /** `kbps`: bits per millisecond, Infinity for no limit; `steps`: [[seconds, kbps], …] from the first request on, repeated; 0 is an outage. */
  constructor({ kbps = Infinity, rtt = 0, steps } = {}) {
    Object.assign(this, { kbps, rtt, steps });
    if (steps && !steps.some(([seconds, rate]) => seconds > 0 && rate > 0)) throw new Error('nothing ever comes through this link');
    this.length = steps?.reduce((sum, [seconds]) => sum + seconds * 1000, 0);
    this.bytes = 0;
  }

  /** Where a time lies among the steps: which of them, and how many milliseconds of it are left. */
  #step(at) {
    let into = Math.max(0, at - this.startedAt) % this.length;
    for (const [seconds, kbps] of this.steps) {
      if (into < seconds * 1000) return { kbps, left: seconds * 1000 - into };
      into -= seconds * 1000;
    }
    return { kbps: this.steps.at(-1)[1], left: 1 };
  }

  get rate() {
    if (!this.steps) return this.kbps;
    this.startedAt ??= performance.now();
    return this.#step(performance.now()).kbps;
  }

  /** When `bits` have passed that begin to at a time; a step may be an outage. */
  #passed(at, bits) {
    if (!this.steps) return at + bits / this.kbps;
    for (let rest = bits; ;) {
      const { kbps, left } = this.#step(at);
      if (kbps > 0 && rest <= kbps * left) return at + rest / kbps;
      rest -= kbps * left;
      // Rounding must not stop the clock.
      at += Math.max(left, 1e-3);
    }
  }

  /** How many bytes one piece has at the present rate. */
  get piece() {
    return this.rate === Infinity ? 65_536 : Math.min(65_536, Math.max(256, Math.ceil((this.rate * PIECE_MS) / 8)));
  }

  /** Waits for the request to arrive: one round trip, and one more where the connection is new. */
  async arrive(socket) {
    this.startedAt ??= performance.now();
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
    this.#freeAt = this.#passed(Math.max(this.#freeAt, now - CATCH_UP_MS), bytes * 8);
    if (this.#freeAt > now + 1) await sleep(this.#freeAt - now);
  }
}
