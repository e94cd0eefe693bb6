// Live samples of the demo page: the low-latency origin runs while somebody asks for it, and a minute longer.
import { startLiveOrigin } from './live-origin.mjs';

const IDLE_MS = 60_000;
/** Two minutes can be sought, of which some seconds are there at once: each is encoded before the first answer. */
const options = { window: 60, prefill: 6, partDuration: 0.32, chunkDuration: 0.08, latency: 1.5 };

/** Starts something when it is asked for and closes it when nobody has asked for `idleMs`; `start` resolves to { url, close }. */
export function onDemand(start, idleMs = IDLE_MS) {
  let running;
  let open = 0;
  let timer;
  const rest = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const ended = running;
      running = undefined;
      void ended?.then(({ close }) => close()).catch(() => {});
    }, idleMs);
    timer.unref();
  };
  return {
    get runs() { return running !== undefined; },
    /** The address of what runs, for one request. */
    async open(response) {
      open++;
      clearTimeout(timer);
      response.once('close', () => { if (--open === 0) rest(); });
      running ??= start();
      const mine = running;
      try { return (await mine).url; } catch (error) {
        if (running === mine) running = undefined;
        throw error;
      }
    },
    async close() {
      clearTimeout(timer);
      const ended = running;
      running = undefined;
      await (await ended?.catch(() => undefined))?.close();
    },
  };
}

/** For startServer: the proxies and pages with which the demo page offers live samples. `close` ends what runs. */
export function liveSamples() {
  const origin = onDemand(() => startLiveOrigin(options));
  const list = [
    { title: 'Low latency, parts of 0.3 s', protocol: 'hls', url: 'live/ll/hls/master.m3u8' },
    { title: 'Low latency, chunks of 0.08 s', protocol: 'dash', url: 'live/ll/dash/manifest.mpd' },
  ];
  return { proxies: { '/live/ll': origin }, pages: { '/live/sources.json': { type: 'application/json', body: JSON.stringify(list) } }, close: () => origin.close(), origin };
}
