// Long steps, told: one line per step with its time, a sign of life while it lasts, the tail of its output when it fails.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The top of the repository. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

/** Where everything that is made and not shipped lies; never in git. */
export const cache = path.join(root, '.cache');

const interactive = process.stderr.isTTY && !process.env.CI;
const HEARTBEAT_MS = 10_000;
const TAIL_LINES = 60;

export const seconds = (ms) => (ms < 9_950 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`);

/** A failure whose message is meant for the reader as it stands, without a stack trace. */
export class Told extends Error {}

/** What goes on now: steps may overlap, and share the one line of a terminal. */
const active = new Set();

/** Runs `work`, printing one line when it ends and a heartbeat while it runs. `work` gets a function to say where it is. */
export async function step(label, work) {
  const started = performance.now();
  let note = '';
  const line = (mark) => `${mark} ${label}${note ? ` (${note})` : ''}  ${seconds(performance.now() - started)}`;
  active.add(line);
  const beat = setInterval(
    () => process.stderr.write(interactive ? `\r\x1b[K${[...active].map((each) => each('…')).join('  ')}` : `${line('…')}\n`),
    interactive ? 250 : HEARTBEAT_MS,
  );
  const end = (mark) => {
    clearInterval(beat);
    active.delete(line);
    process.stderr.write(`${interactive ? '\r\x1b[K' : ''}${line(mark)}\n`);
  };
  try {
    const result = await work((text) => { note = text; });
    end('✓');
    return result;
  } catch (error) {
    end('✗');
    throw error;
  }
}

/**
 * Runs a program to its end and resolves to its standard output.
 * `onLine` sees every line of both streams as it comes; `echo` passes them on to our standard error.
 * Rejects with a `Told` that holds the last lines when the exit code is not in `okCodes`.
 */
export function run(command, args = [], { cwd = root, env, onLine, echo = false, okCodes = [0], timeoutMs } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const tail = [];
    let stdout = '';
    let timedOut = false;
    const timer = timeoutMs && setTimeout(() => { timedOut = true; child.kill('SIGKILL'); }, timeoutMs);
    const lines = (stream, keep) => {
      let rest = '';
      stream.setEncoding('utf8');
      stream.on('data', (text) => {
        if (keep) stdout += text;
        if (echo) process.stderr.write(text);
        const parts = (rest + text).split(/\r?\n|\r/);
        rest = parts.pop();
        for (const part of parts) {
          tail.push(part);
          if (tail.length > TAIL_LINES) tail.shift();
          onLine?.(part);
        }
      });
      stream.on('end', () => { if (rest) { tail.push(rest); onLine?.(rest); } });
    };
    lines(child.stdout, true);
    lines(child.stderr, false);
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(new Told(error.code === 'ENOENT' ? `${command} is not installed (npm run setup)` : `${command}: ${error.message}`));
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (okCodes.includes(code)) return resolve(stdout);
      const why = timedOut ? `no end after ${seconds(timeoutMs)}` : signal ? `ended by ${signal}` : `exit code ${code}`;
      const said = echo ? '' : `\n${tail.join('\n').trimEnd()}`;
      reject(new Told(`${command} ${args.join(' ')}: ${why}${said}`));
    });
  });
}

/** Runs a command-line entry point and ends the program, whatever is still open: a failure is printed the short way. */
export async function main(work) {
  let code = 1;
  try { code = (await work()) ?? 0; } catch (error) {
    process.stderr.write(`\n${error instanceof Told ? error.message : error.stack}\n`);
  }
  process.exit(code);
}

/** Whether this module was started as a program (and not imported). */
export const isMain = (meta) => process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(meta.url);
