// The reference in README.md says what the sources say.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { root } from '../../www/tools/steps.mjs';

const read = (file) => readFileSync(path.join(root, file), 'utf8');
const readme = read('README.md');
const section = (title) => readme.slice(readme.indexOf(`### ${title}\n`)).split(/\n##+ /)[0];
const rows = (title) => [...section(title).matchAll(/^\| `([^`]+)` \| ([^|]*?) \|/gm)].map(([, name, next]) => [name, next]);
const all = (file, pattern) => [...read(file).matchAll(pattern)].map(([, ...groups]) => groups);

test('lists every error code with its category', () => {
  const codes = all('src/error.rs', /^ {4}\w+ = "(\w+)", (\w+),/gm).map(([code, category]) => [code, category.toLowerCase()]);
  assert.ok(codes.length > 20);
  assert.deepEqual(rows('Errors'), codes);
});

test('lists every reason, and so does the demo page', async () => {
  const reasons = all('src/player/io.rs', /^ +Self::\w+ => "([a-z-]+)",/gm).map(([reason]) => reason).filter((name) => !['video', 'audio'].includes(name));
  assert.ok(reasons.length > 10);
  assert.deepEqual(rows('Reasons').map(([name]) => name), reasons);
  const { because } = await import('../../www/demo/words.js');
  for (const reason of reasons) assert.notEqual(because(reason), reason, `the demo page has no words for ${reason}`);
});

test('lists every option with its default', () => {
  const types = read('www/lib/types.ts');
  const config = types.slice(types.indexOf('interface PlayerConfig'), types.indexOf('interface LoadOptions'));
  const options = [...config.matchAll(/Default (.*?)[:.]? ?(?:no limit\.|the stream's own\.)? \*\/\s+(\w+)\?/g)].map(([, value, name]) => [name, value.replace(/[`,]/g, '').replace(/\.$/, '')]);
  assert.equal(options.length, (config.match(/\?: /g) ?? []).length);
  assert.deepEqual(rows('Options'), options);
});

test('lists every event and every command', () => {
  const types = read('www/lib/types.ts');
  const details = types.slice(types.indexOf('interface PlayerEventDetails'), types.indexOf('export type PlayerEventMap'));
  assert.deepEqual(rows('Events').map(([name]) => name), [...details.matchAll(/^ {2}(\w+): /gm)].map(([, name]) => name));
  const { scripts } = JSON.parse(read('package.json'));
  for (const [, name] of readme.matchAll(/npm run (\w+)/g)) assert.ok(scripts[name], `README.md names npm run ${name}`);
});

test('shows a picture that is there and small', () => {
  for (const [, file] of readme.matchAll(/!\[[^\]]*\]\(([^)]+)\)/g)) {
    assert.ok(existsSync(path.join(root, file)), file);
    assert.ok(readFileSync(path.join(root, file)).length < 200_000, file);
  }
});
