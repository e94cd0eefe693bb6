// npm run simulate: as a user calls it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { root } from '../../www/tools/steps.mjs';

const scratch = mkdtempSync(path.join(tmpdir(), 'simulate-'));
after(() => rmSync(scratch, { recursive: true }));

const simulate = (...args) => spawnSync('node', [path.join(root, 'www/tools/simulate.mjs'), ...args], { encoding: 'utf8', maxBuffer: 1 << 28 });
const file = (name, text) => {
  const place = path.join(scratch, name);
  writeFileSync(place, text);
  return place;
};

// The first call builds the tool.
before(() => {
  const { status, stdout } = simulate('--help');
  assert.equal(status, 0);
  assert.match(stdout, /--traces FILE/);
}, { timeout: 900_000 });

const trace = (id, kbps) => JSON.stringify({ id, rtt_ms: 50, ms: [10_000], kbps: [kbps] });
const traces = file('links.jsonl', `${trace('home/a', 4000)}\n${trace('home/b', 900)}\n`);
const movie = file('movie.json', JSON.stringify({
  name: 'even', segment_ms: 2000, bitrates_kbps: [500, 1000, 2000], sizes_bits: Array(30).fill([1e6, 2e6, 4e6]),
}));

test('traces and a movie give a row for each rule, as text, as JSON and as a page', () => {
  const page = path.join(scratch, 'report.html');
  const args = ['--traces', traces, '--movie', movie, '--rules', 'default,lowest'];
  const { status, stdout, stderr } = simulate(...args, '--json', '--html', page);
  assert.equal(status, 0, stderr);
  const { metrics, groups: [{ set, traces: names, runs }] } = JSON.parse(stdout);
  assert.deepEqual([set, names, runs.map(({ rule }) => rule)], ['home', ['home/a', 'home/b'], ['default', 'lowest']]);
  const number = (run, session, name) => runs[run].sessions[session][metrics.indexOf(name)];
  // Half of the time at the lowest quality at the very most, where the link carries the highest twice.
  assert.ok(number(0, 0, 'avg_kbps') > 1500, stdout);
  assert.ok(Math.abs(number(1, 0, 'avg_kbps') - 500) < 10 && number(1, 1, 'stalls') === 0, stdout);
  assert.match(readFileSync(page, 'utf8'), /<svg/);
  assert.match(simulate(...args).stdout, /home +default +2 /);
});

test('a session is told request by request', () => {
  const { stdout } = simulate('--traces', traces, '--movie', movie, '--story', 'home/b');
  assert.match(stdout, /GET movie\.mpd/);
  assert.match(stdout, /Ended/);
});

test('other players decide by their own code: the top on a fast link, the lowest on a slow one, and no stall', { timeout: 120_000 }, () => {
  const steady = file('steady.jsonl', `${trace('steady/fast', 20_000)}\n${trace('steady/slow', 700)}\n`);
  const args = ['--traces', steady, '--movie', movie, '--rules', 'hls.js,shaka,dash.js'];
  const { devDependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  for (const [link, rung] of [['steady/fast', 2], ['steady/slow', 0]]) {
    const { status, stdout, stderr } = simulate(...args, '--story', link);
    assert.equal(status, 0, stderr);
    const stories = stdout.split(/^(?=\S.* on steady)/m);
    const names = ['hls.js', 'shaka', 'dash.js'].map((name) => `${name} ${devDependencies[{ shaka: 'shaka-player', 'dash.js': 'dashjs' }[name] ?? name]}`);
    assert.deepEqual(stories.map((story) => story.split(' on ')[0]), names);
    for (const story of stories) {
      assert.match(story, new RegExp(`GET segment 29 in quality ${rung}:`), story);
      assert.doesNotMatch(story, /the element waited|ended by/);
    }
    // hls.js waits for playlists and dash.js for initialization segments; shaka fetches those beside the first segment.
    assert.deepEqual(stories.map((story) => story.includes('GET a small file')), [true, false, true]);
  }
  const { groups: [{ runs }] } = JSON.parse(simulate(...args, '--json').stdout);
  assert.deepEqual(runs.map(({ sessions }) => sessions.length), [2, 2, 2]);
});

test('the sensitivity to each tuned number is told, and what would be chosen with a set left out', { timeout: 120_000 }, () => {
  const slow = file('slow.jsonl', `${trace('slow/a', 1300)}\n`);
  const args = ['--traces', traces, '--movie', movie, '--traces', slow, '--sensitivity'];
  const { status, stdout, stderr } = simulate(...args, '--json');
  assert.equal(status, 0, stderr);
  const { base, variants } = JSON.parse(stdout);
  const names = new Set(variants.map(({ name }) => name));
  assert.ok(names.has('up') && names.has('horizon') && variants.length === names.size * 4, stdout);
  assert.deepEqual(Object.keys(base), ['home', 'slow']);
  const { value, sets } = variants.find(({ name }) => name === 'up');
  // The same by hand.
  const [{ runs }] = JSON.parse(simulate('--traces', slow, '--movie', movie, '--rules', `default,default:up=${value}`, '--json').stdout).groups;
  const close = (a, b) => assert.ok(Math.abs(a - b) < 1e-9, `${a} ${b}`);
  close(runs[0].summary.qoe_log.mean, base.slow.qoe_log);
  close(runs[1].summary.qoe_log.mean, sets.slow.qoe_log);
  const text = simulate(...args).stdout;
  assert.match(text, /^up +0\.8 /m);
  assert.match(text, /left out[\s\S]*^home [\s\S]*^slow /m);
});

test('another player that cannot be asked is told at once', () => {
  const args = ['--traces', traces, '--movie', movie, '--rules', 'hls.js'];
  const tool = path.join(process.env.CARGO_TARGET_DIR ?? path.join(root, 'target'), 'simulate/millrace-simulate');
  for (const [command, message] of [
    [undefined, /hls\.js: MILLRACE_PEERS names no command/],
    ['["/absent/program"]', /hls\.js: cannot be started: \/absent\/program/],
    [JSON.stringify([process.execPath, '-e', '0']), /hls\.js: its process is gone/],
    [JSON.stringify([process.execPath, path.join(root, 'www/tools/peers/main.mjs'), 'nobody']), /hls\.js: nobody is none of hls\.js, shaka, dash\.js/],
  ]) {
    const env = { ...process.env, MILLRACE_PEERS: command };
    if (!command) delete env.MILLRACE_PEERS;
    const { status, stdout, stderr } = spawnSync(tool, args, { encoding: 'utf8', env });
    assert.equal(status, 1);
    assert.match(stderr, message);
    assert.equal(stdout, '');
  }
});

test('without files it plays links and a movie of its own, the same each time', () => {
  const first = simulate('--json', '--synthetic', '1');
  const { groups } = JSON.parse(first.stdout);
  assert.deepEqual(groups.map(({ set, traces }) => [set, traces.length]), [['steps', 20], ['ramps', 20], ['outages', 20], ['markov', 20]]);
  assert.equal(simulate('--json').stdout, first.stdout);
});

test('what cannot be used is told with its line', () => {
  const cut = file('cut.jsonl', `${trace('a/1', 1000)}\n{"id":"a/2",`);
  for (const [args, code, message] of [
    [['--traces', cut, '--movie', movie], 1, /cut\.jsonl:2: is cut short/],
    [['--traces', movie, '--movie', movie], 1, /movie\.json:1: "id" is missing/],
    [['--traces', traces, '--movie', traces], 1, /links\.jsonl/],
    [['--traces', traces], 1, /--movie is missing/],
    [['--traces', path.join(scratch, 'absent')], 1, /absent|--movie/],
    [['--rules', 'best'], 2, /best is not known/],
    [['--rules', 'default,hls.js', '--live'], 2, /hls\.js plays neither with --live nor with --audio/],
    [['--rules', 'dash.js', '--audio', '64'], 2, /dash\.js plays neither/],
    [['--buffer', '-1'], 2, /-1 is not a number above 0/],
    [['--frobnicate'], 2, /unknown option --frobnicate/],
  ]) {
    const { status, stdout, stderr } = simulate(...args);
    assert.equal(status, code, args.join(' '));
    assert.match(stderr, message);
    assert.equal(stdout, '');
  }
});
