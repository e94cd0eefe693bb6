// The page side of `npm run bench`: each player behind the same few calls, and the clocks.
// `prefix` is a shaped path of the server (server.mjs): what is fetched below it shares one link.
import { readClock } from '/frame-strip.js';

const video = document.querySelector('video');
// Not play(): setting a source later would take it back.
video.autoplay = true;

const script = (src) => new Promise((resolve, reject) => {
  const element = Object.assign(document.createElement('script'), { src, onload: resolve, onerror: () => reject(new Error(`no ${src}`)) });
  document.head.append(element);
});

const players = {
  millrace: {
    async code(prefix, protocol, live, log) { this.lib = await import(`${prefix}/dist/${log ? 'log' : live ? 'live' : protocol}.js`); },
    async make({ ahead } = {}) { this.player = new this.lib.Player(ahead && { bufferAhead: ahead }); await this.player.attach(video); },
    load(url) { return this.player.load(url); },
  },
  'hls.js': {
    code: (prefix) => script(`${prefix}/peers/hls.js/dist/hls.min.js`),
    async make({ ahead } = {}) { this.player = new Hls(ahead && { maxBufferLength: ahead, maxMaxBufferLength: ahead }); this.player.attachMedia(video); },
    async load(url) { this.player.loadSource(url); },
  },
  'dash.js': {
    code: (prefix) => script(`${prefix}/peers/dashjs/dist/modern/umd/dash.mediaplayer.min.js`),
    // Low latency by the manifest alone.
    async make({ most } = {}) {
      this.player = dashjs.MediaPlayer().create();
      if (most) this.player.updateSettings({ streaming: { buffer: { bufferTimeDefault: most, bufferTimeAtTopQuality: most, bufferTimeAtTopQualityLongForm: most } } });
      this.player.initialize(video, null, false);
    },
    async load(url) { this.player.attachSource(url); },
  },
  shaka: {
    code: (prefix, protocol) => script(`${prefix}/peers/shaka-player/dist/shaka-player.${protocol}-es2021.js`),
    async make({ live = false, ahead } = {}) {
      shaka.polyfill.installAll();
      this.player = new shaka.Player();
      // What its documentation turns on for low latency.
      if (live) this.player.configure({ streaming: { lowLatencyMode: true, liveSync: { enabled: true } } });
      if (ahead) this.player.configure({ streaming: { bufferingGoal: ahead } });
      await this.player.attach(video);
    },
    load(url) { return this.player.load(url); },
  },
  'rx-player': {
    // Its smallest build that plays DASH, bundled by bench.mjs.
    code: (prefix) => script(`${prefix}/bench/rx-player.js`),
    async make() { this.player = new RxPlayer({ videoElement: video }); },
    async load(url) { this.player.loadVideo({ url, transport: 'dash', autoPlay: true }); },
  },
  // The floor: a progressive file.
  native: {
    async code() {},
    async make() {},
    async load(url) { video.src = url; },
  },
};

const firstFrame = () => new Promise((resolve, reject) => {
  const timer = setTimeout(reject, 30_000, new Error('no first frame after 30 s'));
  video.requestVideoFrameCallback((now) => { clearTimeout(timer); resolve({ now, rung: video.videoHeight }); });
});
const idle = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

window.bench = {
  /** Milliseconds from load() to the first frame with the code there and the player made; `now`: when that was. */
  async warmStart(name, protocol, url, live = false) {
    const player = players[name];
    await player.code('', protocol, live);
    await player.make({ live });
    await idle(1_000);
    const started = performance.now();
    const [{ now, rung }] = await Promise.all([firstFrame(), player.load(url)]);
    return { ms: now - started, rung, now };
  },

  /** The same with the code fetched first, over the same link. */
  async coldStart(name, protocol, prefix, url) {
    const player = players[name];
    const started = performance.now();
    const frame = firstFrame();
    await player.code(prefix, protocol);
    await player.make();
    const [{ now, rung }] = await Promise.all([frame, player.load(url)]);
    return { ms: now - started, rung };
  },

  /**
   * Joins a live stream, and watches it from then on: join time, stalls, how often the rate changed, and from `settled` seconds on the age of the picture, read from the clock in it.
   * What was seen is `leaveLive`'s to tell: no call may last as long as a stay.
   */
  async joinLive(name, protocol, url, settled) {
    const { ms: join, now } = await this.warmStart(name, protocol, url, true);
    const seen = { join, stalls: 0, stalled: 0, rates: 0, ages: [] };
    let waits;
    video.addEventListener('waiting', () => { waits ??= performance.now(); });
    video.addEventListener('ratechange', () => { seen.rates++; });
    // A wait ends with the next picture.
    seen.goesOn = () => {
      if (waits !== undefined && performance.now() - waits > 100) { seen.stalls++; seen.stalled += performance.now() - waits; }
      waits = undefined;
    };
    const next = () => video.requestVideoFrameCallback(() => { seen.goesOn(); next(); });
    next();
    setInterval(() => {
      const made = readClock(video);
      if (made >= 0 && performance.now() - now > settled * 1000) seen.ages.push((Date.now() - made) / 1000);
    }, 250);
    this.seen = seen;
  },

  /** What was seen since `joinLive`; times in ms, ages in s. */
  leaveLive() {
    this.seen.goesOn();
    const { join, stalls, stalled, rates, ages } = this.seen;
    if (!ages.length) throw new Error('no picture could be read');
    ages.sort((a, b) => a - b);
    return { join, stalls, stalled, rates, age: ages[ages.length >> 1], worst: ages.at(-1) };
  },

  /**
   * Plays a movie and looks at the element ten times a second, at nothing of the player. At most `most` seconds are to be buffered, `segment` of them
   * by one segment: the setting of dash.js is the first, and of the others how much there is when more is fetched.
   * What was seen is `watched`'s to tell: no call may last as long as a movie.
   */
  async watch(name, protocol, url, most, segment, log) {
    const player = players[name];
    await player.code('', protocol, false, log);
    await player.make({ most, ahead: most - segment });
    await idle(1_000);
    const started = performance.now();
    const seen = { loaded: Date.now(), samples: [] };
    const look = () => {
      const { currentTime, videoHeight, readyState } = video;
      seen.samples.push([(performance.now() - started) / 1000, currentTime, videoHeight, readyState]);
    };
    video.requestVideoFrameCallback((now) => { seen.startup = (now - started) / 1000; });
    const timer = setInterval(look, 100);
    video.addEventListener('ended', () => { look(); clearInterval(timer); seen.ended = true; });
    video.addEventListener('error', () => { seen.error = `media error ${video.error?.code}: ${video.error?.message}`; });
    this.seen = seen;
    // A failure to load is seen by the position, as others are.
    Promise.resolve(player.load(url)).catch((error) => { seen.error = String(error); });
  },

  /** What was seen since the last call. */
  watched() {
    const { samples, ...rest } = this.seen;
    this.seen.samples = [];
    return { samples, ...rest };
  },

  /** Of a player that keeps a log. */
  log() { return players.millrace.player.log(); },

  /** Plays for `seconds` of the clip and resolves. */
  async play(seconds) {
    const goal = video.currentTime + seconds;
    const end = performance.now() + seconds * 2_000 + 20_000;
    while (video.currentTime < goal) {
      if (performance.now() > end) throw new Error(`stuck at ${video.currentTime}`);
      await idle(50);
    }
    return { time: video.currentTime, frames: video.getVideoPlaybackQuality().totalVideoFrames };
  },

  /** Milliseconds from setting currentTime to the picture of that time. */
  seek(to) {
    return new Promise((resolve, reject) => {
      for (let i = 0; i < video.buffered.length; i++) {
        if (video.buffered.start(i) <= to && video.buffered.end(i) > to) { reject(new Error(`${to} s is buffered already`)); return; }
      }
      const timer = setTimeout(reject, 30_000, new Error(`no picture of ${to} s after 30 s (${video.currentTime}, ${video.readyState})`));
      const started = performance.now();
      const wait = () => video.requestVideoFrameCallback((now, { mediaTime }) => {
        if (Math.abs(mediaTime - to) > 0.5) { wait(); return; }
        clearTimeout(timer);
        resolve({ ms: now - started, mediaTime, rung: video.videoHeight });
      });
      wait();
      video.currentTime = to;
    });
  },
};
window.pageReady = true;
