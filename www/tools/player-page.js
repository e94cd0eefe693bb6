// The page side of `npm run play` and of the end-to-end tests: a player, and a record of what its user would have seen.
// Loaded as a module by player.html; everything hangs off window.page so that a driver can reach it.

const video = document.querySelector('video');
const entry = new URL(location.href).searchParams.get('entry') ?? '/dist/index.js';
const record = { problems: [], events: [], played: 0, presented: 0 };

// A page that is broken must not pass for one that plays.
addEventListener('error', (event) => record.problems.push(`error: ${event.message ?? event.type}`));
addEventListener('unhandledrejection', (event) => record.problems.push(`unhandled rejection: ${event.reason?.message ?? event.reason}`));
const consoleError = console.error.bind(console);
console.error = (...words) => { record.problems.push(`console.error: ${words.map(String).join(' ')}`); consoleError(...words); };

// Seconds that were really played: the playhead's small steps forward while it is not being set.
let last = 0;
setInterval(() => {
  const step = video.currentTime - last;
  last = video.currentTime;
  if (!video.seeking && step > 0 && step < 1) record.played += step;
}, 50);
const onFrame = () => { record.presented++; video.requestVideoFrameCallback(onFrame); };
if ('requestVideoFrameCallback' in video) video.requestVideoFrameCallback(onFrame);

const eventNames = ['loaded', 'sourcechange', 'tracks', 'qualitychange', 'stall', 'recovered', 'gap', 'metadata', 'fallback', 'error', 'ended'];
const errorFields = (error) => ({ code: error?.code ?? 'UNKNOWN', severity: error?.severity ?? 'fatal', category: error?.category ?? 'internal',
  message: error?.message ?? String(error), url: error?.context?.url ?? null, status: error?.context?.status ?? null, recovery: error?.recovery ?? null,
  ...(error?.causes?.length && { causes: error.causes.map(errorFields) }) });
const plain = (detail) => (detail instanceof Error ? errorFields(detail) : detail === undefined ? null : JSON.parse(JSON.stringify(detail)));

function listen(player) {
  for (const name of eventNames) player.addEventListener(name, (event) => record.events.push({ name, at: performance.now(), position: video.currentTime, detail: plain(event.detail) }));
}

let module;
window.page = {
  video, record,

  /** Imports the library and makes a player on the page's video. */
  async open(config) {
    // A bundler's project hands the library in; otherwise it is fetched from where it lies.
    module ??= window.millrace ?? await import(/* @vite-ignore */ entry);
    this.module = module;
    this.player = new module.Player(config ?? {});
    listen(this.player);
    await this.player.attach(video);
  },

  /** Loads and starts to play; resolves to null or to the error's fields. */
  async load(url, options = {}, config = undefined) {
    try {
      if (!this.player) await this.open(config);
      await this.player.load(url, options);
      // A refused play() shows in the playhead; it is not the player's error.
      video.play().catch(() => {});
      return null;
    } catch (error) { return errorFields(error); }
  },

  /** What can be seen from outside, and the player's own numbers. */
  state() {
    const quality = video.getVideoPlaybackQuality?.();
    const ranges = (list) => Array.from({ length: list.length }, (_, i) => [list.start(i), list.end(i)]);
    return {
      time: video.currentTime, duration: Number.isFinite(video.duration) ? video.duration : null, ended: video.ended, paused: video.paused, seeking: video.seeking,
      readyState: video.readyState, width: video.videoWidth, height: video.videoHeight, buffered: ranges(video.buffered), played: record.played,
      // WebKitGTK does not count the frames of some pipelines: those that were presented are the proof there.
      frames: Math.max(quality?.totalVideoFrames ?? 0, record.presented), dropped: quality?.droppedVideoFrames ?? 0,
      mediaError: video.error && `${video.error.code}: ${video.error.message}`,
      problems: record.problems, error: record.events.find(({ name, detail }) => name === 'error' && detail.severity === 'fatal')?.detail ?? null,
      stats: this.player ? plain(this.player.stats()) : null, live: this.player?.live ? plain(this.player.live) : null,
    };
  },

  /** Milliseconds from the making of the picture that is shown until now, as its clock has it (frame-strip.mjs); null for pictures without one. */
  async latencyMs() {
    // A name in a variable: bundlers that this page is tried with resolve what they can read.
    const reader = '/frame-strip.js';
    const { readClock } = await import(/* @vite-ignore */ reader);
    const made = readClock(video);
    return made < 0 ? null : Date.now() - made;
  },

  /** Seeks and resolves, once the target's picture (or sound) is there, to the milliseconds that took; null after `timeoutMs`. */
  seek(to, timeoutMs = 15_000) {
    return new Promise((resolve) => {
      const started = performance.now();
      const end = (ms) => { clearTimeout(timer); resolve(ms); };
      const timer = setTimeout(end, timeoutMs, null);
      const shown = () => video.requestVideoFrameCallback((now, { mediaTime }) => {
        if (Math.abs(mediaTime - to) < 1) end(performance.now() - started); else shown();
      });
      if (video.videoWidth && 'requestVideoFrameCallback' in video) shown();
      else video.addEventListener('seeked', () => end(performance.now() - started), { once: true });
      video.currentTime = to;
    });
  },
};
window.pageReady = true;
