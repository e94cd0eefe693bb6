// What a session in a browser was worth, from looks at the element alone: the numbers of src/sim/metrics.rs by the same definitions.

/** The numbers of a session that the simulator has by the same names; more digits for small ones. */
export const metrics = [
  { name: 'qoe_log', digits: 3 }, { name: 'qoe_lin', digits: 3 }, { name: 'avg_kbps', digits: 0 }, { name: 'rebuffer_pct', digits: 2 }, { name: 'stall_seconds', digits: 2 },
  { name: 'stalls', digits: 1 }, { name: 'startup_seconds', digits: 2 }, { name: 'switches_per_min', digits: 2 },
];

/** Seconds by which a playhead may be ahead of the clock between two looks; beyond that it was set, and what lies between was not played. */
const JUMP = 0.5;
/** A playhead that loses less than this did not wait: two looks and the clocks are not that exact. */
const WAIT = 0.1;
/** Seconds that a playhead has moved once it moves. */
const MOVED = 1e-3;
/** Media that may be missing at the ends and between segments. */
const SEAMS = 0.5;
/** QoE_log: what a stalled second costs. */
const PER_STALLED_SECOND = 2.66;

const sum = (values) => values.reduce((total, value) => total + value, 0);

/** The time between each two looks: when, how long, from where the playhead went, and how far by playing. */
function intervals(samples) {
  return samples.slice(1).map(([at, position], i) => {
    const [before, from] = samples[i];
    const seconds = at - before;
    const moved = position - from > seconds + JUMP ? 0 : Math.max(0, position - from);
    return { before, seconds, from, moved };
  });
}

/** Waits after playback began, as { at, seconds }. */
export function stallsOf(samples) {
  const all = intervals(samples);
  const slow = ({ seconds, moved }) => moved < seconds / 2;
  const stalls = [];
  // However little it has moved: a player that begins too early waits at once.
  const began = all.findIndex(({ moved }) => moved > MOVED);
  for (let i = began + 1; began >= 0 && i < all.length; i++) {
    if (!slow(all[i])) continue;
    const first = i;
    while (i + 1 < all.length && slow(all[i + 1])) i++;
    // The wait begins and ends somewhere between two looks: the neighbours lack the rest of it.
    const seconds = sum(all.slice(first - 1, i + 2).map((interval) => interval.seconds - interval.moved));
    if (seconds >= WAIT) stalls.push({ at: all[first].before, seconds });
  }
  return stalls;
}

/** Of each segment: the rung in its middle (undefined: it was not seen), and how many seconds of it were played. */
export function segmentsOf(samples, { segment_ms: ms, heights, sizes_bits: sizes }) {
  const length = ms / 1000;
  const segments = sizes.map(() => ({ rung: undefined, seconds: 0, off: Infinity }));
  for (const { from, moved } of intervals(samples)) {
    for (let at = from; at < from + moved - 1e-9;) {
      const n = Math.floor((at + 1e-9) / length);
      const to = Math.min(from + moved, (n + 1) * length);
      if (segments[n]) segments[n].seconds += to - at;
      at = to;
    }
  }
  for (const [, position, height] of samples) {
    const n = Math.floor(position / length);
    const off = Math.abs(position - (n + 0.5) * length);
    const rung = heights.indexOf(height);
    if (segments[n] && rung >= 0 && off < segments[n].off) Object.assign(segments[n], { rung, off });
  }
  return segments.map(({ rung, seconds }) => ({ rung, seconds }));
}

/**
 * The numbers of a session. `samples`: [seconds since the load, position, height of the picture], `startup`: seconds until the first frame;
 * `movie`: as the simulator reads it, and the heights of its rungs.
 */
export function metricsOf({ samples, startup }, movie) {
  const { bitrates_kbps: kbps, segment_ms: ms, sizes_bits: sizes } = movie;
  const wall = Math.max(1e-3, samples.at(-1)?.[0] ?? 0);
  const segments = segmentsOf(samples, movie);
  const seen = segments.filter(({ rung, seconds }) => rung !== undefined && seconds > 1e-3);
  const missing = Math.max(0, (sizes.length * ms) / 1000 - sum(segments.map(({ seconds }) => seconds)));
  const stalls = stallsOf(samples);
  const lost = sum(stalls.map(({ seconds }) => seconds)) + (missing < SEAMS ? 0 : missing);
  const rates = seen.map(({ rung }) => kbps[rung] / 1000);
  const logs = seen.map(({ rung }) => Math.log(kbps[rung] / kbps[0]));
  const changes = (values) => sum(values.slice(1).map((value, i) => Math.abs(value - values[i])));
  const qoe = (values, perSecond) => (sum(values) - perSecond * lost - changes(values)) / Math.max(1, sizes.length);
  return {
    qoe_log: qoe(logs, PER_STALLED_SECOND),
    qoe_lin: qoe(rates, kbps.at(-1) / 1000),
    avg_kbps: sum(seen.map(({ rung, seconds }) => kbps[rung] * seconds)) / wall,
    rebuffer_pct: (100 * lost) / Math.max(wall, lost),
    stall_seconds: lost,
    stalls: stalls.length,
    startup_seconds: startup ?? wall,
    switches_per_min: seen.slice(1).filter(({ rung }, i) => rung !== seen[i].rung).length / (wall / 60),
  };
}

/** The mean of each number. */
export const meansOf = (all) => Object.fromEntries(metrics.map(({ name }) => [name, sum(all.map((one) => one[name])) / all.length]));
