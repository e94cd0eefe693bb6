// A clock that only the simulator moves: Date, performance.now(), timeouts and intervals follow it, so a player's code measures virtual time.

const RealDate = Date;
/** The time of the day at the start of each session; no player minds which. */
const EPOCH = RealDate.UTC(2026, 0, 1);

let now = 0;
let number = 0;
let timers = new Map();

class FakeDate extends RealDate {
  constructor(...parts) {
    if (parts.length) super(...parts);
    else super(FakeDate.now());
  }

  static now() { return EPOCH + Math.round(now); }
}

function start(callback, ms, args, every) {
  number += 1;
  timers.set(number, { at: now + Math.max(Number(ms) || 0, every ? 1 : 0), every: every ? Math.max(Number(ms) || 0, 1) : 0, run: () => callback(...args) });
  return number;
}

const stop = (id) => { timers.delete(id); };

/** Puts the clock in the place of the real one. What a session is told comes in order, so nothing of Node's own needs the real one. */
export function install() {
  globalThis.Date = FakeDate;
  performance.now = () => now;
  globalThis.setTimeout = (callback, ms, ...args) => start(callback, ms, args, false);
  globalThis.setInterval = (callback, ms, ...args) => start(callback, ms, args, true);
  globalThis.clearTimeout = stop;
  globalThis.clearInterval = stop;
}

/** A new session: time 0, and no timers. */
export function reset() {
  now = 0;
  timers = new Map();
}

/** Runs what is due before `end`, each at its time. */
function run(end) {
  for (;;) {
    let first;
    for (const [id, timer] of timers) if (timer.at < end && !(first && timers.get(first).at <= timer.at)) first = id;
    if (first === undefined) return;
    const timer = timers.get(first);
    now = Math.max(now, timer.at);
    if (timer.every) timer.at += timer.every;
    else timers.delete(first);
    timer.run();
  }
}

/** Less than any timer of a player; more than rounding. */
const NEAR = 1e-3;

/** Goes to a time in milliseconds: runs timers that are due before it, then `change`, then timers that are due at this very time, which see the change. */
export function advance(to, change) {
  run(to - NEAR);
  now = Math.max(now, to);
  change();
  run(to + NEAR);
  now = Math.max(now, to);
}

/** Milliseconds since the session began. */
export const elapsed = () => now;
/** A Date at so many milliseconds of the session. */
export const date = (ms) => new RealDate(EPOCH + Math.round(ms));
