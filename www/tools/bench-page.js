// The page side of `npm run bench`: each player behind the same few calls, and the clocks.
// `prefix` is a shaped path of the server (server.mjs): what is fetched below it shares one link.

const video = document.querySelector('video');
// Not play(): setting a source later would take it back.
video.autoplay = true;

const script = (src) => new Promise((resolve, reject) => {
  const element = Object.assign(document.createElement('script'), { src, onload: resolve, onerror: () => reject(new Error(`no ${src}`)) });
  document.head.append(element);
});

const players = {
  millrace: {
    async code(prefix, protocol) { this.lib = await import(`${prefix}/dist/${protocol}.js`); },
    async make() { this.player = new this.lib.Player(); await this.player.attach(video); },
    load(url) { return this.player.load(url); },
  },
  'hls.js': {
    code: (prefix) => script(`${prefix}/peers/hls.js/dist/hls.min.js`),
    async make() { this.player = new Hls(); this.player.attachMedia(video); },
    async load(url) { this.player.loadSource(url); },
  },
  'dash.js': {
    code: (prefix) => script(`${prefix}/peers/dashjs/dist/modern/umd/dash.mediaplayer.min.js`),
    async make() { this.player = dashjs.MediaPlayer().create(); this.player.initialize(video, null, false); },
    async load(url) { this.player.attachSource(url); },
  },
  shaka: {
    code: (prefix, protocol) => script(`${prefix}/peers/shaka-player/dist/shaka-player.${protocol}-es2021.js`),
    async make() { shaka.polyfill.installAll(); this.player = new shaka.Player(); await this.player.attach(video); },
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
  /** Milliseconds from load() to the first frame with the code there and the player made. */
  async warmStart(name, protocol, url) {
    const player = players[name];
    await player.code('', protocol);
    await player.make();
    await idle(1_000);
    const started = performance.now();
    const frame = firstFrame();
    const loaded = player.load(url);
    const { now, rung } = await frame;
    await loaded;
    return { ms: now - started, rung };
  },

  /** The same with the code fetched first, over the same link. */
  async coldStart(name, protocol, prefix, url) {
    const player = players[name];
    const started = performance.now();
    const frame = firstFrame();
    await player.code(prefix, protocol);
    await player.make();
    const loaded = player.load(url);
    const { now, rung } = await frame;
    await loaded;
    return { ms: now - started, rung };
  },

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
