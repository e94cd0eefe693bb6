// A session log that was saved, here or elsewhere, drawn: what player.log() of `millrace/log` gives. Its form is told in src/log/mod.rs.
import { choiceLine, clock, rung, seconds } from './words.js';

const VERSION = 2;

/** The arrays of a log; throws an error that names the line. */
export function readLog(text) {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  const read = lines.map((line, i) => {
    try {
      const values = JSON.parse(line);
      if (Array.isArray(values)) return values;
    } catch { /* told below */ }
    if (i === 0) throw new Error('Line 1: this is no session log of Millrace.');
    throw new Error(`Line ${i + 1}: ${i === lines.length - 1 ? 'the log ends in the middle of a line: the file was cut short.' : 'this is no line of a session log.'}`);
  });
  const [header = []] = read;
  if (header[0] !== 'millrace-log') throw new Error('Line 1: this is no session log of Millrace.');
  if (header[1] !== VERSION) throw new Error(`Line 1: the log is of version ${header[1]}, and this page reads version ${VERSION}.`);
  return read.slice(1);
}

/** Draws a log: `plots` and `journal` are cleared. Gives the URL that was loaded last, and how many seconds the log is long. */
export function drawLog(lines, { plots, journal }) {
  plots.clear();
  journal.clear();
  let began;
  let t = 0;
  let position = 0;
  let url;
  let qualities = [];
  let early;
  const of = (id) => qualities.find((one) => one.id === id);
  const tell = (kind, title, { reason, detail, bad = false, quiet = false } = {}) => {
    journal.add({ t, position, kind, title, reason, detail, bad });
    if (!quiet) plots.mark({ t, kind, title, reason, detail });
  };
  const changed = (from, to, reason, auto, estimate, estimateHigh, buffer, ...rest) => {
    const candidates = Array.from({ length: rest.length / 3 }, (_, i) => ({ id: rest[3 * i], seconds: rest[3 * i + 1], lasts: rest[3 * i + 2] }));
    plots.quality(t, to);
    const kind = !from ? 'set' : (of(to)?.bandwidth ?? 0) >= (of(from)?.bandwidth ?? 0) ? 'up' : 'down';
    tell(kind, from ? `${rung(of(from))} → ${rung(of(to))}` : `Quality ${rung(of(to))}`, { reason, detail: auto ? choiceLine({ to, estimate, estimateHigh, buffer, candidates }, (id) => rung(of(id))) : 'fixed by hand' });
  };
  const inputs = {
    '>load': (to) => { url = to; tell('start', 'Load', { detail: to, quiet: true }); },
    '>state': (at, ready, paused, seeking) => {
      if (seeking && Math.abs(at - position) > 1) tell('seek', `Seek to ${clock(at)}`);
      position = at;
    },
    '>head': (id, status, from) => { if (status >= 400) tell('err', `Status ${status}`, { detail: from, bad: true, quiet: true }); },
    '>failed': (id, how, message) => tell('err', 'A request failed', { reason: how, detail: message, bad: true, quiet: true }),
    '>quality': (id) => tell('info', id ? 'A quality is fixed' : 'The quality is automatic again', { reason: 'user', quiet: true }),
    '>golive': () => tell('info', 'To the live edge', { reason: 'user', quiet: true }),
    '>stop': () => tell('info', 'The load ends', { quiet: true }),
  };
  const events = {
    '!loaded': (protocol, duration, live) => tell('info', `${protocol.toUpperCase()} manifest read`, { detail: live ? 'live' : duration ? clock(duration, 0) : undefined, quiet: true }),
    '!tracks': (count, ...rest) => {
      qualities = Array.from({ length: count }, (_, i) => {
        const [id, codecs, bandwidth, width, height, frameRate] = rest.slice(6 * i);
        return { id, codecs, bandwidth, width, height, frameRate };
      });
      plots.rungs = qualities;
      if (early) changed(...early);
      early = undefined;
    },
    // The first choice may come before the list it was made from.
    '!qualitychange': (...change) => { if (qualities.length) changed(...change); else early = change; },
    '!stall': (reason, at) => { plots.stall(t); tell('stall', `Stall at ${clock(at)}`, { reason }); },
    '!recovered': (reason, waited) => { plots.recovered(t); tell('ok', `Goes on after ${seconds(waited)}`, { reason }); },
    '!gap': (reason, from, to) => tell('gap', `Gap ${clock(from)} – ${clock(to)}`, { reason }),
    '!error': (fatal, code, message, from, status, tried) => tell('err', message, { reason: code, detail: [fatal && 'the load ended', from, tried && `Tried: ${tried}`].filter(Boolean).join(' · '), bad: true }),
    '!ended': () => tell('info', 'The end', { quiet: true }),
    '!stats': (startup, stalls, stalled, switches, average, received, estimate, buffer) => plots.sample({ t, buffer, estimate }),
    '!live': (latency, target, edge, start, end, date, rate) => plots.live({ t, latency, target, rate }),
    cut: () => tell('err', 'The log was full here', { bad: true }),
  };
  for (const [first, ...rest] of lines) {
    if (typeof first === 'number') {
      began ??= first;
      t = first - began;
      inputs[rest[0]]?.(...rest.slice(1));
    } else {
      events[first]?.(...rest);
    }
  }
  tell('info', 'The log ends', { detail: `${lines.length} lines`, quiet: true });
  return { url, seconds: t };
}

/** Gives a text to the user as a file. */
export async function saveText(text, name) {
  const packed = typeof CompressionStream === 'function';
  const body = packed ? await new Response(new Blob([text]).stream().pipeThrough(new CompressionStream('gzip'))).blob() : new Blob([text]);
  const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(body), download: packed ? `${name}.gz` : name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** The text of a file, unpacked if need be. */
export async function fileText(file) {
  const [a, b] = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  return a === 0x1f && b === 0x8b ? new Response(file.stream().pipeThrough(new DecompressionStream('gzip'))).text() : file.text();
}
