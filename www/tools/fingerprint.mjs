// "Has anything that this was made from changed?" — a hash of the inputs, kept beside the result.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { cache, root } from './steps.mjs';

/** All files under `start` (a file or folder, relative to the top), sorted, relative to the top. */
export function filesUnder(start) {
  const full = path.join(root, start);
  const info = statSync(full, { throwIfNoEntry: false });
  if (!info) return [];
  if (info.isFile()) return [start];
  return readdirSync(full).sort().flatMap((name) => filesUnder(path.join(start, name)));
}

/** A hash over the content of files and over other values (options, versions). */
export function fingerprint(starts, ...values) {
  const hash = createHash('sha256').update(JSON.stringify(values));
  for (const file of starts.flatMap(filesUnder)) hash.update(`\0${file}\0`).update(readFileSync(path.join(root, file)));
  return hash.digest('hex');
}

/** A named stamp under .cache/stamps: `fresh` says that `made` was called with the same hash and the results still exist. */
export function stamp(name, hash, results = []) {
  const file = path.join(cache, 'stamps', name);
  const exists = (result) => statSync(path.resolve(root, result), { throwIfNoEntry: false }) !== undefined;
  let before = '';
  try { before = readFileSync(file, 'utf8'); } catch { /* never made */ }
  return {
    fresh: before === hash && results.every(exists),
    invalidate: () => rmSync(file, { force: true }),
    made() {
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, hash);
    },
  };
}
