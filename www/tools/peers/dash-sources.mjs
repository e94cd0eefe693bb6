// The sources of dash.js: its package has them only inside the source map of its build. They are written to `.cache/` once for each version.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { cache, root } from '../steps.mjs';

const PREFIX = 'webpack://dashjs/./src/';
const home = path.join(root, 'node_modules/dashjs');

/** The version that is installed. */
export const version = () => JSON.parse(readFileSync(path.join(home, 'package.json'), 'utf8')).version;

function write(place) {
  const { sources, sourcesContent } = JSON.parse(readFileSync(path.join(home, 'dist/modern/esm/dash.mediaplayer.debug.js.map'), 'utf8'));
  mkdirSync(cache, { recursive: true });
  // Under another name until it is whole: two may do this at once.
  const scratch = mkdtempSync(path.join(cache, 'dashjs-'));
  sources.forEach((source, i) => {
    if (!source.startsWith(PREFIX) || !sourcesContent[i]) return;
    const file = path.join(scratch, source.slice(PREFIX.length));
    if (path.relative(scratch, file).startsWith('..')) throw new Error(`${source} lies outside of its package`);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, sourcesContent[i]);
  });
  try {
    renameSync(scratch, place);
  } catch (error) {
    rmSync(scratch, { recursive: true });
    if (!existsSync(place)) throw error;
  }
}

/** The default export of each of these files below `src/`, in order. */
export async function sources(...files) {
  const place = path.join(cache, `dashjs-${version()}`);
  if (!existsSync(place)) write(place);
  const modules = await Promise.all(files.map((file) => import(pathToFileURL(path.join(place, file)))));
  return modules.map((module) => module.default);
}
