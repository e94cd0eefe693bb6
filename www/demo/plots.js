// Quality, throughput and buffer over time on one canvas, for live streams latency and speed too, with a mark for everything that happened.
// Drawn when something changed, at most four times a second, and only while it can be seen.
import { because, bits, clock, rung } from './words.js';

const EVERY = 250;
const MARKS = 20;
const AXIS = 20;
const GAP = 8;
/** Samples kept: half an hour at two per second. */
const KEPT = 3600;
/** How near, in CSS pixels, the pointer has to be to a mark. */
const NEAR = 9;

const spans = [15, 30, 60, 120, 300, 600, 1800];

const colourNames = ['ink', 'ink-2', 'line', 'sunken', 'water', 'water-soft', 'grain', 'moss', 'alarm', 'alarm-soft'];

/** The index of the first item at or after `t`. */
function after(list, t) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle].t < t) low = middle + 1; else high = middle;
  }
  return low;
}

export class Plots {
  #box; #canvas; #tip; #context;
  #samples = [];
  /** {t, latency, target, rate}: of a live stream. */
  #live = [];
  /** {t, kind, title, reason, detail} */
  #marks = [];
  /** {t, id}: the quality that is fetched from t on. */
  #steps = [];
  /** {t, end} */
  #stalls = [];
  #rungs = [];
  #target = 30;
  /** The widest that is shown; a load that is younger fills less. */
  #widest = 60;
  #colours = {};
  #visible = true;
  #timer;
  #drawn = 0;
  #hover;
  #chosen;
  #area;

  /** `box`: the focusable frame of `canvas`; `tip`: shows what is pointed at. */
  constructor(box, canvas, tip) {
    this.#box = box;
    this.#canvas = canvas;
    this.#tip = tip;
    this.#context = canvas.getContext('2d');
    const changed = () => this.touch();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { this.#colours = {}; this.touch(); });
    document.addEventListener('visibilitychange', changed);
    new ResizeObserver(changed).observe(box);
    new IntersectionObserver((entries) => { this.#visible = entries.at(-1).isIntersecting; this.touch(); }).observe(box);
    box.addEventListener('pointermove', (event) => { this.#hover = event.clientX - box.getBoundingClientRect().left; this.#chosen = undefined; this.#point(); this.touch(); });
    box.addEventListener('pointerleave', () => { this.#hover = undefined; this.#point(); this.touch(); });
    box.addEventListener('keydown', (event) => this.#key(event));
    box.addEventListener('blur', () => { this.#chosen = undefined; this.#point(); this.touch(); });
  }

  clear() {
    this.#samples = [];
    this.#live = [];
    this.#box.classList.remove('tall');
    this.#marks = [];
    this.#steps = [];
    this.#stalls = [];
    this.#rungs = [];
    this.#chosen = this.#hover = undefined;
    this.#point();
    this.touch();
  }

  set span(value) { this.#widest = value; this.touch(); }
  /** Seconds that the player keeps buffered: a line in the plot. */
  set target(value) { this.#target = value; this.touch(); }
  /** By ascending bandwidth. */
  set rungs(value) { this.#rungs = value; this.touch(); }

  /** {t, buffer, estimate}, in the order of time. */
  sample(sample) {
    this.#samples.push(sample);
    if (this.#samples.length > KEPT) this.#samples.splice(0, KEPT / 10);
    this.touch();
  }

  /** {t, latency, target, rate}, in the order of time. */
  live(sample) {
    if (!this.#live.length) this.#box.classList.add('tall');
    this.#live.push(sample);
    if (this.#live.length > KEPT) this.#live.splice(0, KEPT / 10);
    this.touch();
  }

  quality(t, id) { this.#steps.push({ t, id }); this.touch(); }
  stall(t) { this.#stalls.push({ t, end: undefined }); this.touch(); }
  recovered(t) { const last = this.#stalls.at(-1); if (last && last.end === undefined) last.end = t; this.touch(); }
  mark(mark) {
    this.#marks.push(mark);
    if (this.#marks.length > KEPT) this.#marks.shift();
    this.touch();
  }

  /** Something changed: draws soon. */
  touch() {
    if (this.#timer !== undefined || !this.#visible || document.hidden) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      requestAnimationFrame(() => { this.#drawn = performance.now(); this.#draw(); });
    }, Math.max(0, this.#drawn + EVERY - performance.now()));
  }

  // ---- Where things are ----

  get #now() { return Math.max(this.#samples.at(-1)?.t ?? 0, this.#marks.at(-1)?.t ?? 0); }
  get #span() { return Math.min(this.#widest, spans.find((one) => one >= this.#now) ?? this.#widest); }
  get #from() { return Math.max(0, this.#now - this.#span); }
  #x(t) { const { left, width } = this.#area; return left + ((t - this.#from) / this.#span) * width; }
  #inView() { return this.#marks.slice(after(this.#marks, this.#from)); }
  #rungOf(id) { return this.#rungs.find((one) => one.id === id); }
  #stepAt(t) { return this.#steps[after(this.#steps, t + 1e-9) - 1]; }

  // ---- What is pointed at ----

  #key(event) {
    const marks = this.#inView();
    const at = marks.indexOf(this.#chosen);
    const next = { ArrowLeft: at < 0 ? marks.length - 1 : Math.max(0, at - 1), ArrowRight: at < 0 ? 0 : Math.min(marks.length - 1, at + 1), Home: 0, End: marks.length - 1 }[event.key];
    if (event.key === 'Escape') this.#chosen = undefined;
    else if (next === undefined) return;
    else this.#chosen = marks[next];
    event.preventDefault();
    this.#hover = undefined;
    this.#point();
    this.touch();
  }

  /** The mark that is chosen by key or pointed at, or the time under the pointer. */
  #pointedAt() {
    if (this.#chosen) return { mark: this.#chosen, x: this.#x(this.#chosen.t) };
    if (this.#hover === undefined || !this.#area) return undefined;
    let best;
    for (const mark of this.#inView()) {
      const x = this.#x(mark.t);
      const distance = Math.abs(x - this.#hover);
      if (distance <= NEAR && (!best || distance <= best.distance)) best = { mark, x, distance };
    }
    if (best) return best;
    const t = this.#from + ((this.#hover - this.#area.left) / this.#area.width) * this.#span;
    const sample = this.#samples[after(this.#samples, t)];
    return sample && t >= 0 && this.#hover >= this.#area.left ? { sample, x: this.#hover, t } : undefined;
  }

  #point() {
    const found = this.#area && this.#pointedAt();
    this.#tip.hidden = !found;
    if (!found) return;
    const lines = [];
    const head = document.createElement('b');
    if (found.mark) {
      const { t, title, reason, detail } = found.mark;
      head.textContent = `${clock(t)}  ${title}`;
      if (detail) lines.push(detail);
      if (reason) {
        const line = document.createElement('span');
        const code = document.createElement('code');
        code.textContent = reason;
        line.append(code, because(reason) === reason ? '' : `: ${because(reason)}`);
        lines.push(line);
      }
    } else {
      head.textContent = clock(found.t);
      const step = this.#stepAt(found.t);
      lines.push(`${rung(this.#rungOf(step?.id))} · ${bits(found.sample.estimate)} · ${found.sample.buffer.toFixed(1)} s buffered`);
      const live = this.#live[after(this.#live, found.t)];
      if (live) lines.push(`${live.latency.toFixed(2)} s behind, ${live.target.toFixed(2)} s aimed at · ${live.rate.toFixed(2)}×`);
    }
    this.#tip.replaceChildren(head, ...lines.map((line) => { const row = document.createElement('div'); row.append(line); return row; }));
    const room = this.#box.clientWidth - this.#tip.offsetWidth;
    const beside = found.x + 14 > room ? found.x - 14 - this.#tip.offsetWidth : found.x + 14;
    this.#tip.style.transform = `translate(${Math.round(Math.max(0, Math.min(room, beside)))}px, 0)`;
  }

  // ---- Drawing ----

  #draw() {
    const ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.#box;
    if (!width || !height) return;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.#canvas.width !== w || this.#canvas.height !== h) Object.assign(this.#canvas, { width: w, height: h });
    const c = this.#context;
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, width, height);
    if (!this.#colours.ink) {
      const style = getComputedStyle(this.#box);
      for (const name of colourNames) this.#colours[name] = style.getPropertyValue(`--${name}`).trim();
      this.#colours.mono = style.getPropertyValue('--mono');
    }
    c.font = `11px ${this.#colours.mono}`;
    c.textBaseline = 'middle';
    c.lineJoin = 'round';
    const left = 62;
    this.#area = { left, width: width - left - 8, top: MARKS, bottom: height - AXIS };
    const shares = this.#live.length ? [['latency', 3.4], ['speed', 1.4], ['quality', 2.4], ['flow', 2.4], ['buffer', 2.4]] : [['quality', 3.6], ['flow', 3.2], ['buffer', 3.2]];
    const room = this.#area.bottom - MARKS - (shares.length - 1) * GAP;
    const sum = shares.reduce((total, [, share]) => total + share, 0);
    let top = MARKS;
    const lanes = shares.map(([name, share]) => {
      const lane = { name, top, height: (room * share) / sum };
      top += lane.height + GAP;
      return lane;
    });
    for (const lane of lanes) {
      c.fillStyle = this.#colours.sunken;
      c.globalAlpha = 0.55;
      c.fillRect(left, lane.top, this.#area.width, lane.height);
      c.globalAlpha = 1;
    }
    this.#drawAxis();
    c.save();
    c.beginPath();
    c.rect(left, 0, this.#area.width + 6, this.#area.bottom);
    c.clip();
    this.#drawStalls();
    c.restore();
    const draw = { latency: (lane) => this.#drawLatency(lane), speed: (lane) => this.#drawSpeed(lane), quality: (lane) => this.#drawQuality(lane), flow: (lane) => this.#drawFlow(lane), buffer: (lane) => this.#drawBuffer(lane) };
    for (const lane of lanes) {
      c.save();
      draw[lane.name](lane);
      c.restore(); // each lane clips to itself
    }
    this.#drawMarks();
    const found = this.#pointedAt();
    if (found) {
      c.strokeStyle = this.#colours.ink;
      c.lineWidth = 1;
      c.beginPath();
      c.moveTo(Math.round(found.x) + 0.5, found.mark ? 15 : MARKS);
      c.lineTo(Math.round(found.x) + 0.5, this.#area.bottom);
      c.stroke();
    }
    // The view slides under a tip that stays.
    if (!this.#tip.hidden) this.#point();
    this.#describe();
  }

  #clip({ top, height }) {
    const c = this.#context;
    c.beginPath();
    c.rect(this.#area.left, top, this.#area.width, height);
    c.clip();
  }

  #label(text, y, strong = false) {
    const c = this.#context;
    c.textAlign = 'right';
    c.fillStyle = this.#colours[strong ? 'ink' : 'ink-2'];
    c.fillText(text, this.#area.left - 7, y);
  }

  #title(text, lane) {
    const c = this.#context;
    c.textAlign = 'left';
    c.lineWidth = 4;
    c.strokeStyle = this.#colours.sunken;
    c.strokeText(text, this.#area.left + 6, lane.top + 9);
    c.fillStyle = this.#colours['ink-2'];
    c.fillText(text, this.#area.left + 6, lane.top + 9);
  }

  #drawAxis() {
    const c = this.#context;
    const { left, width, bottom } = this.#area;
    const from = this.#from;
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600];
    const step = steps.find((one) => (one / this.#span) * width >= 58) ?? 600;
    c.textAlign = 'center';
    c.fillStyle = this.#colours['ink-2'];
    c.strokeStyle = this.#colours.line;
    c.lineWidth = 1;
    c.beginPath();
    for (let t = Math.ceil(from / step) * step; t <= from + this.#span; t += step) {
      const x = Math.round(this.#x(t)) + 0.5;
      c.moveTo(x, MARKS);
      c.lineTo(x, bottom + 3);
      if (x > left + 12 && x < left + width - 10) c.fillText(clock(t, 0), x, bottom + 12);
    }
    c.stroke();
  }

  #drawStalls() {
    const c = this.#context;
    c.fillStyle = this.#colours['alarm-soft'];
    for (const { t, end = this.#now } of this.#stalls) {
      if (end >= this.#from) c.fillRect(this.#x(t), MARKS, Math.max(2, this.#x(end) - this.#x(t)), this.#area.bottom - MARKS);
    }
  }

  /** Connects the values of live samples. */
  #liveLine(samples, y, value, { colour, width, dash = [] }) {
    const c = this.#context;
    c.strokeStyle = this.#colours[colour];
    c.lineWidth = width;
    c.setLineDash(dash);
    c.beginPath();
    samples.forEach((sample, i) => (i ? c.lineTo(this.#x(sample.t), y(value(sample))) : c.moveTo(this.#x(sample.t), y(value(sample)))));
    c.stroke();
    c.setLineDash([]);
  }

  /** A horizontal line over the lane. */
  #rule(y) {
    const c = this.#context;
    c.strokeStyle = this.#colours.line;
    c.lineWidth = 1;
    c.beginPath();
    c.moveTo(this.#area.left, Math.round(y) + 0.5);
    c.lineTo(this.#area.left + this.#area.width, Math.round(y) + 0.5);
    c.stroke();
  }

  /** The live samples in view, and one before them. */
  #liveInView() { return this.#live.slice(Math.max(0, after(this.#live, this.#from) - 1)); }

  #drawLatency(lane) {
    const samples = this.#liveInView();
    const values = samples.flatMap(({ latency, target }) => [latency, target]);
    const most = Math.max(0.1, ...values);
    const step = [0.5, 1, 2, 5, 10, 30, 60, 300, 600, 3600, 36_000].find((one) => (lane.height * one) / (most * 1.2) >= 15) ?? 36_000;
    const y = (value) => lane.top + lane.height - (value / (most * 1.2)) * lane.height;
    for (let value = step; y(value) > lane.top + 5; value += step) {
      this.#rule(y(value));
      this.#label(value < 60 ? `${value} s` : clock(value, 0), y(value));
    }
    this.#clip(lane);
    this.#liveLine(samples, y, ({ target }) => target, { colour: 'grain', width: 2, dash: [5, 3] });
    this.#liveLine(samples, y, ({ latency }) => latency, { colour: 'water', width: 2.5 });
    this.#title('Behind live, and what is aimed at', lane);
  }

  #drawSpeed(lane) {
    const samples = this.#liveInView();
    const reach = Math.max(0.1, ...samples.map(({ rate }) => Math.abs(rate - 1) * 1.2));
    const y = (value) => lane.top + lane.height / 2 - ((value - 1) / reach) * (lane.height / 2);
    this.#rule(y(1));
    this.#label('1×', y(1));
    this.#clip(lane);
    this.#liveLine(samples, y, ({ rate }) => rate, { colour: 'moss', width: 2 });
    this.#title('Speed', lane);
  }

  #drawQuality(lane) {
    const c = this.#context;
    const rungs = this.#rungs;
    if (!rungs.length) { this.#title('Quality', lane); return; }
    const room = lane.height - 22;
    const y = (index) => lane.top + lane.height - 10 - (rungs.length > 1 ? (index / (rungs.length - 1)) * room : room / 2);
    const present = this.#steps.at(-1)?.id;
    // As many labels as have room, the present one always.
    const every = Math.max(1, Math.ceil((13 * rungs.length) / (room + 13)));
    const at = rungs.findIndex(({ id }) => id === present);
    rungs.forEach((one, index) => {
      this.#rule(y(index));
      if (index === at || (index % every === 0 && Math.abs(index - at) >= every)) this.#label(rung(one).replace(' ', '').replace('bit/s', ''), y(index), index === at);
    });
    this.#clip(lane);
    c.strokeStyle = this.#colours.grain;
    c.lineWidth = 3;
    c.beginPath();
    let last;
    const first = Math.max(0, after(this.#steps, this.#from) - 1);
    for (let i = first; i < this.#steps.length; i++) {
      const { t, id } = this.#steps[i];
      const index = rungs.findIndex((one) => one.id === id);
      if (index < 0) { last = undefined; continue; }
      const x = this.#x(t);
      if (last === undefined) c.moveTo(x, y(index)); else { c.lineTo(x, last); c.lineTo(x, y(index)); }
      last = y(index);
      c.lineTo(this.#x(this.#steps[i + 1]?.t ?? this.#now), last);
    }
    c.stroke();
    this.#title('Quality fetched', lane);
  }

  /** Bit/s on a scale of powers of ten: a ladder and a fast link do not fit on a linear one. */
  #drawFlow(lane) {
    const c = this.#context;
    const samples = this.#samples.slice(Math.max(0, after(this.#samples, this.#from) - 1));
    const values = [...samples.map(({ estimate }) => estimate), ...this.#rungs.map(({ bandwidth }) => bandwidth)].filter((value) => value > 0);
    if (!values.length) { this.#title('Throughput', lane); return; }
    const low = Math.floor(Math.log10(Math.min(...values)) * 2) / 2 - 0.001;
    const high = Math.max(low + 1, Math.log10(Math.max(...values)) + 0.15);
    const y = (bps) => lane.top + lane.height - ((Math.log10(Math.max(1, bps)) - low) / (high - low)) * (lane.height - 14);
    let labelled = Infinity;
    for (const value of [1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10]) {
      const line = y(value);
      if (line < lane.top + 6 || line > lane.top + lane.height - 4) continue;
      this.#rule(line);
      if (labelled - line > 13) this.#label(value >= 1e9 ? `${value / 1e9}G` : value >= 1e6 ? `${value / 1e6}M` : `${value / 1e3}k`, line);
      labelled = line;
    }
    this.#clip(lane);
    // What the present quality needs.
    c.strokeStyle = this.#colours.grain;
    c.lineWidth = 1.5;
    c.setLineDash([3, 3]);
    c.beginPath();
    for (let i = Math.max(0, after(this.#steps, this.#from) - 1); i < this.#steps.length; i++) {
      const one = this.#rungOf(this.#steps[i].id);
      if (!one) continue;
      c.moveTo(this.#x(this.#steps[i].t), y(one.bandwidth));
      c.lineTo(this.#x(this.#steps[i + 1]?.t ?? this.#now), y(one.bandwidth));
    }
    c.stroke();
    c.setLineDash([]);
    c.strokeStyle = this.#colours.water;
    c.lineWidth = 2;
    c.beginPath();
    let begun = false;
    for (const { t, estimate } of samples) {
      if (!(estimate > 0)) continue;
      if (begun) c.lineTo(this.#x(t), y(estimate)); else c.moveTo(this.#x(t), y(estimate));
      begun = true;
    }
    c.stroke();
    this.#title('Throughput, and what the quality needs', lane);
  }

  #drawBuffer(lane) {
    const c = this.#context;
    const samples = this.#samples.slice(Math.max(0, after(this.#samples, this.#from) - 1));
    const top = Math.max(this.#target * 1.25, ...samples.map(({ buffer }) => buffer * 1.1));
    const y = (value) => lane.top + lane.height - (value / top) * lane.height;
    this.#label('0 s', lane.top + lane.height - 5);
    this.#label(`${this.#target < 10 ? Number(this.#target.toFixed(1)) : Math.round(this.#target)} s`, y(this.#target));
    this.#clip(lane);
    if (samples.length > 1) {
      c.beginPath();
      c.moveTo(this.#x(samples[0].t), lane.top + lane.height);
      for (const { t, buffer } of samples) c.lineTo(this.#x(t), y(buffer));
      c.lineTo(this.#x(samples.at(-1).t), lane.top + lane.height);
      c.fillStyle = this.#colours['water-soft'];
      c.fill();
      c.beginPath();
      samples.forEach(({ t, buffer }, i) => (i ? c.lineTo(this.#x(t), y(buffer)) : c.moveTo(this.#x(t), y(buffer))));
      c.strokeStyle = this.#colours.water;
      c.lineWidth = 2;
      c.stroke();
    }
    c.strokeStyle = this.#colours['ink-2'];
    c.lineWidth = 1;
    c.setLineDash([2, 4]);
    c.beginPath();
    c.moveTo(this.#area.left, Math.round(y(this.#target)) + 0.5);
    c.lineTo(this.#area.left + this.#area.width, Math.round(y(this.#target)) + 0.5);
    c.stroke();
    c.setLineDash([]);
    this.#title('Buffer', lane);
  }

  #drawMarks() {
    const c = this.#context;
    for (const mark of this.#inView()) {
      const x = Math.round(this.#x(mark.t)) + 0.5;
      if (x < this.#area.left - 1) continue;
      const colour = { up: 'moss', down: 'grain', set: 'water', stall: 'alarm', ok: 'moss', gap: 'alarm', seek: 'ink', err: 'alarm', fault: 'grain' }[mark.kind] ?? 'ink-2';
      c.strokeStyle = c.fillStyle = this.#colours[colour];
      c.lineWidth = 1;
      c.globalAlpha = 0.5;
      c.beginPath();
      c.moveTo(x, 15);
      c.lineTo(x, this.#area.bottom);
      c.stroke();
      c.globalAlpha = 1;
      this.#glyph(mark.kind, x, 9);
    }
  }

  /** Kinds differ in shape, not in colour alone. */
  #glyph(kind, x, y) {
    const c = this.#context;
    const shape = (...points) => {
      c.beginPath();
      points.forEach(([dx, dy], i) => (i ? c.lineTo(x + dx, y + dy) : c.moveTo(x + dx, y + dy)));
      c.closePath();
      c.fill();
    };
    if (kind === 'up') shape([0, -5], [5.5, 5], [-5.5, 5]);
    else if (kind === 'down') shape([0, 5], [5.5, -5], [-5.5, -5]);
    else if (kind === 'fault') shape([1, -6], [5, -6], [1, -1], [4.5, -1], [-3, 6], [-1, 1], [-4, 1]);
    else if (kind === 'gap') shape([0, -6], [6, 0], [0, 6], [-6, 0]);
    else if (kind === 'stall') c.fillRect(x - 5, y - 5, 10, 10);
    else if (kind === 'set') c.fillRect(x - 5, y - 3, 10, 6);
    else if (kind === 'err') {
      c.lineWidth = 3;
      c.beginPath();
      c.moveTo(x - 4, y - 4); c.lineTo(x + 4, y + 4);
      c.moveTo(x + 4, y - 4); c.lineTo(x - 4, y + 4);
      c.stroke();
    } else if (kind === 'ok' || kind === 'seek') {
      c.lineWidth = 2;
      c.beginPath();
      c.arc(x, y, 4, 0, 7);
      if (kind === 'ok') c.fill(); else c.stroke();
    } else c.fillRect(x - 1.5, y - 5, 3, 10);
  }

  /** The picture in words, for those who do not see it. */
  #describe() {
    const last = this.#samples.at(-1);
    const live = this.#live.at(-1);
    const text = !last ? 'Nothing yet.' : `Now ${rung(this.#rungOf(this.#steps.at(-1)?.id))}, estimate ${bits(last.estimate)}, ${Math.round(last.buffer)} seconds buffered${live ? `, ${live.latency.toFixed(1)} seconds behind live, ${live.target.toFixed(1)} aimed at` : ''}; ${this.#inView().length} marks.`;
    if (this.#canvas.textContent !== text) this.#canvas.textContent = text;
  }
}
