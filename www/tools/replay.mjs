// `npm run replay -- LOG [options]`: plays a session log again and compares what the core does with what the log says; `--help` tells the
// options. Media that the log has by reference is fetched again, from where the player had it or (`--base URL`) from another host.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { buildNative, startNative, userPath } from './native.mjs';

/** Requests under way at once. */
const AT_ONCE = 4;

const args = process.argv.slice(2);
const option = (name) => {
  const at = args.indexOf(name);
  return at < 0 ? undefined : args.splice(at, 2)[1];
};

const base = option('--base');
// Quick to build: what has been built for the tests serves it, and a log is short.
const tool = buildNative('replay', 'dev');
const scratch = mkdtempSync(path.join(tmpdir(), 'millrace-replay-'));
process.on('exit', () => rmSync(scratch, { recursive: true }));

const at = args.findIndex((arg, i) => !arg.startsWith('--') && !['--until', '--media'].includes(args[i - 1]));
if (at >= 0) {
  // Packed logs are as good as others.
  try {
    const bytes = readFileSync(userPath(args[at]));
    if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
      args[at] = path.join(scratch, 'log');
      writeFileSync(args[at], gunzipSync(bytes));
    }
  } catch { /* the tool tells */ }
}
if (at >= 0 && !['--help', '--media', '--requests'].some((name) => args.includes(name))) {
  const media = await fetchMedia(userPath(args[at]));
  if (media) args.push('--media', media);
}
process.exitCode = startNative(tool, args);

/** Fetches what a log has by reference; resolves to the folder, or to nothing where there is nothing to fetch. */
async function fetchMedia(log) {
  let requests;
  try {
    requests = JSON.parse(execFileSync(tool, [log, '--requests'], { encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'ignore'] }));
  } catch { return undefined; } // It cannot be read: the replay tells why.
  const rest = requests.values();
  const take = async () => {
    for (const { id, url, first, last } of rest) {
      const from = base ? new URL(new URL(url).pathname.slice(1) + new URL(url).search, base) : url;
      try {
        const response = await fetch(from, { headers: first === null ? {} : { range: `bytes=${first}-${last ?? ''}` } });
        if (response.ok) writeFileSync(path.join(scratch, String(id)), Buffer.from(await response.arrayBuffer()));
        else console.error(`${from}: status ${response.status}`);
      } catch (error) {
        console.error(`${from}: ${error.cause?.message ?? error.message}`);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, take));
  return scratch;
}
