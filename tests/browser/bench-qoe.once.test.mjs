// What npm run bench -- abr makes of looks at an element: the simulator's numbers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Link } from '../../www/tools/link.mjs';
import { metricsOf, segmentsOf, stallsOf } from '../../www/tools/bench-qoe.mjs';

const movie = { segment_ms: 4000, bitrates_kbps: [500, 1000, 2000], heights: [240, 360, 720], sizes_bits: Array(5).fill([2e6, 4e6, 8e6]) };

/** Looks ten times a second: `parts` are [seconds, rate of playback, height], from a position of 0 on. */
function looks(parts, startup = 1) {
  const samples = [[0, 0, 0]];
  let [at, position] = [0, 0];
  for (const [seconds, rate, height] of [[startup, 0, 0], ...parts]) {
    for (let i = 0; i < Math.round(seconds * 10); i++) samples.push([at += 0.1, position += 0.1 * rate, height]);
  }
  return { samples, startup };
}

const near = (actual, expected, off = 0.02) => assert.ok(Math.abs(actual - expected) <= off, `${actual} instead of ${expected}`);

test('one quality without a stall', () => {
  const numbers = metricsOf(looks([[20, 1, 360]]), movie);
  assert.deepEqual([numbers.stalls, numbers.stall_seconds, numbers.switches_per_min, numbers.startup_seconds], [0, 0, 0, 1]);
  near(numbers.qoe_lin, 1);
  near(numbers.qoe_log, Math.log(2));
  near(numbers.avg_kbps, (1000 * 20) / 21, 5);
});

test('a stall between two qualities', () => {
  const seen = looks([[8, 1, 240], [3, 0, 240], [12, 1, 720]]);
  const numbers = metricsOf(seen, movie);
  const [stall, ...more] = stallsOf(seen.samples);
  assert.equal(more.length, 0);
  near(stall.at, 9, 0.11);
  near(stall.seconds, 3);
  assert.deepEqual(segmentsOf(seen.samples, movie).map(({ rung }) => rung), [0, 0, 2, 2, 2]);
  near(numbers.qoe_lin, (2 * 0.5 + 3 * 2 - 2 * 3 - 1.5) / 5);
  near(numbers.qoe_log, (3 * Math.log(4) - 2.66 * 3 - Math.log(4)) / 5);
  near(numbers.rebuffer_pct, (100 * 3) / 24, 0.1);
  near(numbers.switches_per_min, 60 / 24, 0.01);
});

test('late looks and small losses are no stalls; what is cut off or passed over was lost', () => {
  const { samples } = looks([[20, 1, 360]]);
  assert.deepEqual(stallsOf(samples.filter((_, i) => i < 50 || i > 65)), []);
  assert.deepEqual(stallsOf(looks([[5, 1, 240], [0.1, 0.4, 240], [5, 1, 240]]).samples), []);
  // Another thing is to begin too early.
  const [early, ...more] = stallsOf(looks([[0.1, 0.6, 240], [1.3, 0, 240], [5, 1, 240]]).samples);
  assert.equal(more.length, 0);
  near(early.seconds, 1.34);
  near(metricsOf(looks([[12, 1, 360]]), movie).stall_seconds, 8);
  const passedOver = looks([[8, 1, 360], [8, 1, 360]]);
  passedOver.samples.forEach((sample, i) => { if (i > 90) sample[1] += 4; });
  near(metricsOf(passedOver, movie).stall_seconds, 4, 0.2);
});

test('nothing was ever shown', () => {
  const numbers = metricsOf({ samples: looks([], 5).samples }, movie);
  assert.deepEqual([numbers.stalls, numbers.startup_seconds], [0, numbers.startup_seconds]);
  near(numbers.startup_seconds, 5);
  near(numbers.stall_seconds, 20);
  assert.equal(numbers.avg_kbps, 0);
});

test('a link follows its steps through an outage', async () => {
  const link = new Link({ steps: [[0.1, 8000], [0.2, 0], [10, 8000]] });
  await link.arrive({});
  const started = performance.now();
  // 150,000 bytes: as many as pass in 150 ms, 200 ms of which nothing does.
  for (let sent = 0; sent < 150_000; sent += 10_000) await link.pass(10_000);
  const ms = performance.now() - started;
  assert.ok(ms > 300 && ms < 500, `${ms} ms`);
  assert.throws(() => new Link({ steps: [[1, 0]] }), /nothing ever/);
});
