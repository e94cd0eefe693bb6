// The live view: where the playhead is in the window, how far behind it all is, and what the server can be made to do wrong.
import { clock, seconds, timeOfDay } from './words.js';

/** Milliseconds between drawings while it is shown. */
const EVERY = 250;
/** Between two reports the window goes on by the clock, but not for ever. */
const MOST_AHEAD_S = 2;
/** Seconds that the arrow keys and the page keys go. */
const STEP = 5;
const STRIDE = 30;
/** A change of the target that is worth a line in the log, as a share of it. */
const TOLD_CHANGE = 0.1;

/** What the origin of ours does on request (its control endpoint): [name, what it means, order, for HLS only]. */
const faults = [
  ['404', 'Three segments are not found', { fault: 'status', status: 404, times: 3 }],
  ['503', 'Three segments fail', { fault: 'status', status: 503, times: 3 }],
  ['Late', 'Two segments come a second late', { fault: 'late', seconds: 1, times: 2 }],
  ['Encoder stalls', 'Nothing new for four seconds', { fault: 'stall', seconds: 4 }],
  ['Frozen playlist', 'Playlists stand still for six seconds', { fault: 'freeze', seconds: 6 }, true],
  ['No answer', 'A blocking reload is never answered', { fault: 'hang', times: 1 }, true],
  ['Old playlist', 'Two playlists are three segments old', { fault: 'back', by: 3, times: 2 }, true],
  ['Encoder restart', 'Sequence numbers jump back by three', { fault: 'renumber', by: 3 }, true],
];

/** Where the control endpoint of a stream of our origin is; undefined for other streams. */
function controlOf(url) {
  const { href, hostname, pathname } = new URL(url, location.href);
  const near = hostname === location.hostname || /^(localhost|127\.0\.0\.1|\[::1\])$/.test(hostname);
  return near && /\/(hls\/master\.m3u8|dash\/manifest\.mpd)$/.test(pathname) ? new URL('../control', href).href : undefined;
}

export class LiveView {
  #root; #video; #tell; #plots;
  #parts;
  #player;
  #live;
  /** When the last report came, on the clock of performance.now(), and where the playhead was. */
  #at = 0;
  #place = 0;
  /** The target that the log knows of. */
  #told = 0;
  #timer;
  /** The place under a pointer that is held down. */
  #held;
  #hover;
  #control;

  /** `root`: the section of index.html; `tell(kind, title, {reason, detail})` writes to the log and the plots. */
  constructor(root, { video, tell, plots }) {
    this.#root = root;
    this.#video = video;
    this.#tell = tell;
    this.#plots = plots;
    const part = (name) => root.querySelector(`[data-part=${name}]`);
    this.#parts = Object.fromEntries(['go', 'slider', 'buffered', 'aim', 'rest', 'now', 'tip', 'from', 'to', 'where', 'latency', 'target', 'rate', 'buffer', 'made', 'faults', 'orders']
      .map((name) => [name, part(name)]));
    const { go, slider } = this.#parts;
    go.addEventListener('click', () => this.#goLive());
    slider.addEventListener('pointerdown', (event) => { slider.setPointerCapture(event.pointerId); this.#held = this.#placeOf(event); this.#draw(); });
    slider.addEventListener('pointermove', (event) => {
      this.#hover = this.#placeOf(event);
      if (this.#held !== undefined) this.#held = this.#hover;
      this.#draw();
    });
    slider.addEventListener('pointerup', () => {
      if (this.#held !== undefined) this.#seek(this.#held);
      this.#held = undefined;
    });
    slider.addEventListener('pointercancel', () => { this.#held = undefined; this.#draw(); });
    slider.addEventListener('pointerleave', () => { this.#hover = undefined; this.#draw(); });
    slider.addEventListener('keydown', (event) => this.#key(event));
  }

  /** A live stream was loaded. */
  begin(player, url, protocol) {
    this.#player = player;
    void this.#offerFaults(url, protocol);
  }

  /** What plays is live no more. */
  end() {
    clearInterval(this.#timer);
    this.#timer = this.#live = this.#player = this.#held = this.#hover = this.#control = undefined;
    this.#root.hidden = true;
  }

  /** The player's `live` event. */
  update(live) {
    if (!this.#player) return;
    const before = this.#live;
    this.#live = live;
    this.#at = performance.now();
    this.#place = this.#video.currentTime;
    if (!before) {
      this.#root.hidden = false;
      this.#told = live.target;
      this.#timer = setInterval(() => this.#draw(), EVERY);
      this.#tell('info', `Live, ${seconds(live.latency)} behind`, { detail: `${seconds(live.target)} is aimed at`, quiet: true });
    } else {
      if (Math.abs(live.target - this.#told) > this.#told * TOLD_CHANGE) {
        this.#tell('set', `${seconds(live.target)} behind is aimed at`, { detail: `before: ${seconds(this.#told)}` });
        this.#told = live.target;
      }
      if (before.atEdge !== live.atEdge) this.#tell('info', live.atEdge ? 'At the live edge' : 'Shifted in time', { quiet: true });
    }
    this.#plots.live({ latency: live.latency, target: live.target, rate: live.rate });
    this.#draw();
  }

  // ---- The window ----

  /** The window as it is by now, and where the playhead is. */
  #view() {
    const { window, edge, target, latency, atEdge } = this.#live;
    const gone = Math.min(MOST_AHEAD_S, (performance.now() - this.#at) / 1000);
    const start = window.start + gone;
    const end = Math.max(start + 0.1, window.end + gone);
    const top = Math.max(end, edge + gone);
    // Where the playhead would be if it were as far behind as is aimed at.
    const aim = this.#place + latency - target + gone;
    return { start, end, top, now: this.#video.currentTime, aim, atEdge, share: (time) => Math.min(1, Math.max(0, (time - start) / (top - start))) };
  }

  #placeOf({ clientX }) {
    if (!this.#live) return undefined;
    const { left, width } = this.#parts.slider.getBoundingClientRect();
    const { start, end, top } = this.#view();
    return Math.min(end, start + Math.min(1, Math.max(0, (clientX - left) / width)) * (top - start));
  }

  #seek(time) {
    if (!this.#live) return;
    const { end, start } = this.#view();
    // The last bit of the bar is the edge.
    if (time > end - Math.max(0.5, (end - start) / 200)) this.#goLive(); else this.#video.currentTime = time;
    this.#draw();
  }

  #goLive() {
    this.#player?.goLive();
    void this.#video.play().catch(() => {});
  }

  #key(event) {
    if (!this.#live) return;
    const step = { ArrowLeft: -STEP, ArrowDown: -STEP, ArrowRight: STEP, ArrowUp: STEP, PageDown: -STRIDE, PageUp: STRIDE }[event.key];
    const { start, now } = this.#view();
    if (event.key === 'End') this.#goLive();
    else if (event.key === 'Home') this.#seek(start + 1);
    else if (step !== undefined) this.#seek(Math.max(start, now + step));
    else return;
    event.preventDefault();
  }

  #draw() {
    if (!this.#live || document.hidden) return;
    const live = this.#live;
    const parts = this.#parts;
    const { start, end, top, now, aim, share, atEdge } = this.#view();
    const percent = (time) => `${(share(time) * 100).toFixed(2)}%`;
    const place = this.#held ?? now;
    parts.now.style.left = percent(place);
    parts.aim.style.left = percent(aim);
    parts.rest.style.left = percent(end);
    const { buffered } = this.#video;
    const ranges = Array.from({ length: buffered.length }, (_, i) => [buffered.start(i), buffered.end(i)]).filter(([, to]) => to > start);
    while (parts.buffered.children.length > ranges.length) parts.buffered.lastChild.remove();
    ranges.forEach(([from, to], index) => {
      const bar = parts.buffered.children[index] ?? parts.buffered.appendChild(document.createElement('i'));
      bar.style.left = percent(from);
      bar.style.width = `${Math.max(0, (share(to) - share(from)) * 100).toFixed(2)}%`;
    });

    const text = (part, words) => { if (parts[part].textContent !== words) parts[part].textContent = words; };
    const dateOf = (time) => (live.date ? timeOfDay(new Date(live.date.getTime() + (time - this.#place) * 1000)) : undefined);
    const behind = (time) => `−${clock(Math.max(0, end - time), 0)}`;
    text('from', dateOf(start) ?? behind(start));
    text('to', dateOf(top) ?? 'now');
    text('where', atEdge ? 'At the edge' : `${clock(Math.max(0, live.latency - live.target), 0)} behind the edge`);
    text('latency', seconds(live.latency));
    text('target', seconds(live.target));
    text('rate', `${live.rate.toFixed(2)}×`);
    const ahead = ranges.find(([from, to]) => from <= now + 0.1 && to > now);
    text('buffer', seconds(ahead ? ahead[1] - now : 0));
    text('made', dateOf(now) ?? '–');
    this.#root.dataset.edge = atEdge;
    parts.go.disabled = atEdge && !this.#video.paused;
    const tip = this.#held ?? this.#hover;
    parts.tip.hidden = tip === undefined;
    if (tip !== undefined) {
      text('tip', [dateOf(tip), behind(tip)].filter(Boolean).join('  '));
      parts.tip.style.left = percent(tip);
    }
    const { slider } = parts;
    for (const [name, value] of [['min', start], ['max', end], ['now', place]]) slider.setAttribute(`aria-value${name}`, value.toFixed(1));
    slider.setAttribute('aria-valuetext', [dateOf(place), atEdge ? 'at the live edge' : `${clock(Math.max(0, end - place), 0)} before the end of the window`].filter(Boolean).join(', '));
  }

  // ---- Faults ----

  /** Asks whether there is a control endpoint, and makes a button of each fault. */
  async #offerFaults(url, protocol) {
    const { faults: box, orders } = this.#parts;
    const legend = document.getElementById('legend-fault');
    box.hidden = legend.hidden = true;
    const control = this.#control = controlOf(url);
    if (!control) return;
    try {
      const response = await fetch(control);
      if (!response.ok || !('faults' in await response.json())) return;
    } catch { return; }
    if (this.#control !== control) return;
    orders.replaceChildren(...faults.filter(([, , , hlsOnly]) => !hlsOnly || protocol === 'hls').map(([name, meaning, order]) => {
      const button = Object.assign(document.createElement('button'), { type: 'button' });
      const parts = [['b', name], ['span', meaning]].map(([tag, textContent]) => Object.assign(document.createElement(tag), { textContent }));
      button.append(...parts);
      button.addEventListener('click', () => this.#order(button, control, name, meaning, order));
      return button;
    }));
    box.hidden = legend.hidden = false;
  }

  async #order(button, control, name, meaning, order) {
    button.disabled = true;
    try {
      const response = await fetch(control, { method: 'POST', body: JSON.stringify(order) });
      if (!response.ok) throw new Error(`${response.status}`);
      this.#tell('fault', `Fault: ${name}`, { reason: 'user', detail: meaning });
    } catch (error) { this.#tell('err', `The server did not take the fault: ${error.message}`, { bad: true }); }
    button.disabled = false;
  }
}
