// npm run bench -- edge: low-latency players beside each other over links that change, each with a link of its own to an origin that has three qualities.
import { linksIn } from './bench-abr.mjs';
import { startLiveOrigin } from './live-origin.mjs';
import { step } from './steps.mjs';

const rungs = [200, 600, 1000];
const latency = 1.5;
const seconds = 150;
const players = { hls: ['millrace', 'hls.js', 'shaka'], dash: ['millrace', 'dash.js', 'shaka'] };

/** Links that are made up: steps that last, and short dips. */
const madeUp = [
  { id: 'stairs', rtt_ms: 20, ms: [30_000, 30_000, 30_000, 30_000], kbps: [1500, 950, 500, 950] },
  { id: 'dips', rtt_ms: 20, ms: [6_000, 300], kbps: [1500, 500] },
];

/** kbit/s of the pictures that were asked for, by their length. */
function asked(server, spec, origin) {
  let [sum, all] = [0, 0];
  for (const { url } of server.log) {
    const [, kbps, part] = url.startsWith(`/~${spec}/`) ? /\/video(\d+)\/\d+(\.\d+)?\.m4s/.exec(url) ?? [] : [];
    if (!kbps) continue;
    const length = part ? origin.partTarget : origin.segmentDuration;
    sum += kbps * length;
    all += length;
  }
  return sum / all;
}

/** `stay(player, protocol, url, seconds, { alone })` plays in a browser of its own, and tells what was seen. */
export async function edge({ server, stay, files, first }) {
  const rows = [];
  const links = files.length ? files.flatMap((file) => linksIn(file, first)) : madeUp.slice(0, first);
  for (const { id, rtt_ms: rtt, ms, kbps } of links) {
    for (const [protocol, names] of Object.entries(players)) {
      const origin = await startLiveOrigin({ rungs, latency, chunkDuration: 0.04 });
      server.proxies['/edge'] = { open: async () => origin.url };
      try {
        await step(`${id}, ${protocol}: ${names.join(', ')} beside each other for ${seconds} s`, () => Promise.all(names.map(async (player) => {
          const spec = `rtt=${rtt},id=${player}-${protocol}-${rows.length},steps=${ms.map((time, i) => `${time / 1000}x${kbps[i]}`).join('_')}`;
          const path = protocol === 'hls' ? 'hls/master.m3u8' : 'dash/manifest.mpd';
          const seen = await stay(player, protocol, `/~${spec}/edge/${path}`, seconds, { alone: false });
          rows.push({ link: id, protocol, player, kbps: asked(server, spec, origin.state()), ...seen });
        })));
      } finally { await origin.close(); }
    }
  }
  const line = (cells) => cells.map((cell, i) => (i < 3 ? String(cell).padEnd([26, 6, 10][i]) : String(cell).padStart(10))).join('');
  return { text: [
    `\nLow latency over links that change: pictures of ${rungs.join(', ')} kbit/s, ${seconds} s, ${latency} s asked for in DASH, parts of 0.32 s in HLS`,
    line(['link', '', 'player', 'kbit/s', 'age, s', 'oldest', 'stalls', 'ms', 'rates']),
    ...rows.map(({ link, protocol, player, kbps, age, worst, stalls, stalled, rates }) => line([link, protocol, player, kbps.toFixed(0), age.toFixed(2), worst.toFixed(2), stalls, stalled.toFixed(0), rates])),
  ].join('\n'), data: rows };
}
