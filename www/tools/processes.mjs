// Child processes that do not outlive us: a driver, the browser it started and whatever that started in turn.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const running = new Set();

/** All processes below `top` (by parent, from /proc), `top` first. */
function tree(top) {
  const children = new Map();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // The second field may hold blanks and parentheses: the parent is the second one after the last ')'.
      const parent = Number(readFileSync(`/proc/${name}/stat`, 'latin1').split(')').at(-1).trim().split(' ')[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    } catch { /* it ended meanwhile */ }
  }
  const found = [top];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

function killTree(pid) {
  for (const one of tree(pid)) {
    try { process.kill(one, 'SIGKILL'); } catch { /* it ended meanwhile */ }
  }
}

/** Ends everything at once; synchronous, for an exit that cannot wait. */
function endAll() {
  for (const owner of running) owner.endNow();
}
process.on('exit', endAll);
for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]]) {
  process.on(signal, () => { endAll(); process.exit(code); });
}

/** A group of processes with a temporary folder of their own; `end` removes both. */
export class Household {
  #children = [];

  constructor() {
    this.folder = mkdtempSync(path.join(tmpdir(), 'millrace-'));
    running.add(this);
  }

  /** `binary`: its output is the caller's to read. */
  spawn(command, args, { env = {}, cwd, stdio = ['ignore', 'pipe', 'pipe'], binary = false } = {}) {
    // A group of its own keeps the terminal's Ctrl-C from it: we end it, in order.
    const child = spawn(command, args, { stdio, cwd, detached: true, env: { ...process.env, TMPDIR: this.folder, ...env } });
    this.#children.push(child);
    child.output = '';
    for (const stream of [binary ? null : child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text) => { child.output = (child.output + text).slice(-20_000); });
    }
    child.on('error', (error) => { child.output += error.message; });
    return child;
  }

  /** What its processes said last, those aside whose output is somebody's to read. */
  output() { return this.#children.map(({ output }) => output).filter(Boolean).join('\n'); }

  /** The ids of all its processes. */
  processes() { return this.#children.flatMap((child) => (child.pid ? tree(child.pid) : [])); }

  endNow() {
    for (const child of this.#children) if (child.pid && child.exitCode === null && child.signalCode === null) killTree(child.pid);
    running.delete(this);
    try { rmSync(this.folder, { recursive: true, force: true, maxRetries: 3, retryDelay: 50 }); } catch { /* a last write of a dying process */ }
  }

  async end() {
    const ended = this.#children.filter((child) => child.pid && child.exitCode === null && child.signalCode === null)
      .map((child) => new Promise((resolve) => { child.once('exit', resolve); }));
    for (const child of this.#children) if (child.pid) killTree(child.pid);
    await Promise.race([Promise.all(ended), new Promise((resolve) => { setTimeout(resolve, 3_000).unref(); })]);
    this.endNow();
  }
}
