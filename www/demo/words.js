// How numbers and reasons read to people.

export const bits = (bps) => (!(bps > 0) ? '–' : bps >= 99.5e6 ? `${Math.round(bps / 1e6)} Mbit/s`
  : bps >= 1e6 ? `${(bps / 1e6).toFixed(1)} Mbit/s` : `${Math.round(bps / 1e3)} kbit/s`);

export const bytes = (count) => (count >= 1e6 ? `${(count / 1e6).toFixed(count >= 1e8 ? 0 : 1)} MB` : `${Math.round((count || 0) / 1e3)} kB`);

export const seconds = (value) => (Number.isFinite(value) ? `${value.toFixed(value < 9.95 ? 2 : 1)} s` : '–');

/** 75.4 → "1:15.4". */
export function clock(value, digits = 1) {
  if (!Number.isFinite(value)) return '–';
  const scaled = Math.round(value * 10 ** digits) / 10 ** digits;
  const minutes = Math.floor(scaled / 60);
  return `${minutes}:${(scaled - minutes * 60).toFixed(digits).padStart(digits ? digits + 3 : 2, '0')}`;
}

/** 14:05:09. */
export const timeOfDay = (date) => [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');

/** "720p"; the bitrate where there is no picture. */
export const rung = (quality) => (!quality ? '–' : quality.height ? `${quality.height}p` : bits(quality.bandwidth));

export const qualityLine = (quality) => [quality.width && quality.height ? `${quality.width}×${quality.height}` : undefined, bits(quality.bandwidth),
  quality.codecs?.split('.')[0] || undefined].filter(Boolean).join(' · ');

const reasons = {
  start: 'first choice of this load',
  'throughput-up': 'the link carries more',
  'throughput-down': 'the link carries less',
  'buffer-high': 'the buffer is full enough for more',
  'buffer-low': 'the buffer is too low for this much',
  abandoned: 'a download that would not have made it was given up',
  'element-size': 'the picture is shown at another size now',
  user: 'chosen by hand',
  failure: 'a quality failed, and another stands in',
  period: 'the next period has other qualities',
  'gap-jumped': 'the media has a hole here',
  'gap-announced': 'the manifest announced this hole',
  'sound-filled': 'the sound has a short hole: silence fills it',
  'sound-dropped': 'the sound overlaps what came before: the overlap is dropped',
  'start-gap': 'the media begins later than announced',
  'buffer-empty': 'nothing was buffered at the playhead',
  nudged: 'media was there and the picture stood: it was nudged',
  refilled: 'data came',
  quota: "the browser's buffer was full",
  'window-left': 'the live window has moved on past the playhead',
  'caught-up': 'playback was far behind the live edge, and jumped',
  hidden: 'nobody sees the page',
};

/** A reason code in words; a code that this page does not know stands for itself. */
export const because = (code) => reasons[code] ?? code;

/** What a quality was chosen from (the detail of `qualitychange`), in a line. `nameOf`: how qualities are called here. */
export function choiceLine({ to, estimate, estimateHigh, buffer, candidates }, nameOf) {
  const rate = bits(estimate) === bits(estimateHigh) ? bits(estimate) : `${bits(estimate)} to ${bits(estimateHigh)}`;
  const at = candidates.findIndex(({ id }) => id === to);
  const plan = (one) => `${nameOf(one.id)}: ${seconds(one.seconds)} a segment${one.lasts === Infinity || one.lasts === null ? '' : `, lasts ${seconds(one.lasts)}`}`;
  const told = [candidates[at], candidates[at + 1]].filter((one) => at >= 0 && one).map(plan);
  return [`${rate}, ${seconds(buffer)} ahead`, ...told].join('; ');
}
