// npm run table: writes what the container tests saw (.cache/containers, of the last `npm test`) into the README: container × codecs × engine.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { engines } from './browsers.mjs';
import { files } from './sample-files.mjs';
import { Told, cache, main, root } from './steps.mjs';

const [open, close] = ['<!-- npm run table -->', '<!-- /npm run table -->'];
const names = { chromium: 'Chromium 156', firefox: 'Firefox 153', webkit: 'WebKitGTK 2.50' };
const words = { 'no codec': 'says: no codec', src: 'by `src`', undefined: 'failed' };

await main(async () => {
  const seen = engines.map((engine) => {
    try { return JSON.parse(readFileSync(path.join(cache, 'containers', `${engine}.json`), 'utf8')); } catch {
      throw new Told(`No results of ${engine}: run \`npm test -- ${engines.join(' ')}\` first.`);
    }
  });
  const rows = files.map(({ id, container, video, audio }) => {
    const cells = seen.map((results) => words[results[id]] ?? results[id] ?? words[undefined]);
    return `| ${container} | ${[video, audio].filter(Boolean).join(', ')} | ${cells.join(' | ')} |`;
  });
  const table = [`| container | codecs | ${engines.map((engine) => names[engine]).join(' | ')} |`, `|${' --- |'.repeat(2 + engines.length)}`, ...rows].join('\n');
  const file = path.join(root, 'README.md');
  const text = readFileSync(file, 'utf8');
  const [from, to] = [text.indexOf(open), text.indexOf(close)];
  if (from < 0 || to < from) throw new Told(`README.md needs ${open} and ${close} around the table.`);
  writeFileSync(file, `${text.slice(0, from + open.length)}\n\n${table}\n\n${text.slice(to)}`);
  return 0;
});
