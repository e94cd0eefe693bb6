// The demo page: a player, and everything it tells.
import { Journal } from './journal.js';
import { LiveView } from './live.js';
import { StatsOverlay } from './overlay.js';
import { Plots } from './plots.js';
import { drawLog, fileText, readLog, saveText } from './saved-log.js';
import { listSamples, Recent, shapes } from './sources.js';
import { bits, choiceLine, clock, qualityLine, rung, seconds } from './words.js';

const $ = (id) => document.getElementById(id);
const video = $('video');
const plots = new Plots($('chart'), $('canvas'), $('tip'));
const journal = new Journal($('log'), $('log-note'));
const recent = new Recent($('recent'), $('recent-section'), $('forget'));

const liveView = new LiveView($('live'), { video, tell: (...told) => tell(...told), plots: { live: (sample) => plots.live({ t: now(), ...sample }) } });

const config = { statsInterval: 0.5 };
const BUFFER_AHEAD = 30;
const titles = { empty: 'No stream', loading: 'Loading', ready: 'Press play', playing: 'Playing', paused: 'Paused', waiting: 'Waiting', ended: 'Ended', failed: 'Failed' };

let player;
let overlay;
/** The present load: {url, type, began, abort, startTime, seekFrom}. */
let current;
let samples;

const now = () => (current ? (performance.now() - current.began) / 1000 : 0);
const nameOf = (id) => rung(player.qualities.find((one) => one.id === id));

function setState(state) {
  if (document.body.dataset.state === state) return;
  document.body.dataset.state = state;
  $('state').textContent = titles[state];
}

/** One thing that happened: a line in the log and, unless `quiet`, a mark in the plots. */
function tell(kind, title, { reason, detail, bad = false, quiet = false } = {}) {
  const t = now();
  journal.add({ t, position: video.currentTime, kind, title, reason, detail, bad });
  if (!quiet) plots.mark({ t, kind, title, reason, detail });
}

/** Marks the sample that is loaded, and the link that it comes over. */
function showSample() {
  if (!samples || !current) return;
  samples.mark(current.url);
  const spec = samples.specOf(current.url);
  if (spec === undefined || !shapes.some(([known]) => known === spec)) return;
  $('shape').value = spec;
  samples.shape(spec);
}

// ---- Loading ----

const addressOf = (url, type) => `?${new URLSearchParams({ url, ...(type && { type }) })}`;

/** Loads a URL as if it had been typed, pasted, picked or linked to. */
async function load(url, type = '', { remember = true, history: push = true } = {}) {
  current?.abort.abort();
  const mine = { url, type, began: performance.now(), abort: new AbortController() };
  current = mine;
  $('url').value = url;
  $('type').value = type;
  const address = addressOf(url, type);
  if (push && address !== location.search) history.pushState(null, '', address);
  document.title = `${url.split(/[?#]/)[0].split('/').filter(Boolean).at(-1) ?? 'stream'} · Millrace`;
  showSample();
  plots.clear();
  plots.target = BUFFER_AHEAD;
  journal.clear();
  liveView.end();
  fillQualities([]);
  fillAudio([]);
  $('loading-url').textContent = url;
  $('loading-step').textContent = player ? 'Reading the manifest…' : 'Starting the player…';
  setState('loading');
  tell('start', 'Load', { detail: url, quiet: true });
  try {
    if (!player) await startPlayer();
    if (current !== mine) return;
    const loaded = player.load(url, { ...(type && { type }), signal: mine.abort.signal });
    // Right away: a browser lets a page play only near to what its user did.
    video.play().catch(() => {});
    await loaded;
  } catch (error) {
    // A fatal error has been shown by its event; what never reached the player comes here.
    if (current === mine && error.code !== 'LOAD_ABORTED' && document.body.dataset.state !== 'failed') fail(error);
    return;
  }
  if (current !== mine) return;
  if (remember) recent.add(url, type, samples?.has(url));
  $('loading-step').textContent = 'Fetching the first picture…';
  // A rate of the user's own goes on; the player's, with which it keeps a live stream's latency, is its own.
  if ($('rate').value !== '1') video.playbackRate = Number($('rate').value);
  video.play().catch(() => { if (current === mine && document.body.dataset.state === 'loading') setState('ready'); });
}

function cancel() {
  current?.abort.abort();
  current = undefined;
  liveView.end();
  setState('empty');
}

async function startPlayer() {
  let Player;
  try { ({ Player } = await import('./dist/log.js')); } catch (cause) {
    throw Object.assign(new Error('The player could not be loaded from dist/.', { cause }), { code: 'PAGE_WITHOUT_PLAYER', advice: 'Run `npm run build`, or `npm start`, which does it.', context: { url: new URL('./dist/log.js', location.href).href } });
  }
  player ??= listen(new Player(video, config));
  overlay ??= new StatsOverlay($('stage'), player);
}

function listen(made) {
  const on = (name, react) => made.addEventListener(name, ({ detail }) => react(detail));
  on('loaded', ({ protocol, duration, live }) => {
    if (live && current && protocol !== 'file' && protocol !== 'element') liveView.begin(made, current.url, protocol);
    tell('info', `${protocol.toUpperCase()} manifest read`, { detail: `${live ? 'live' : clock(duration, 0)}, after ${seconds(now())}`, quiet: true });
  });
  on('live', (live) => {
    liveView.update(live);
    // No more can be buffered than lies between the playhead and the edge.
    plots.target = Math.min(BUFFER_AHEAD, live.latency);
  });
  const changed = (change) => {
    const { from, to, reason, auto } = change;
    const bandwidth = (id) => made.qualities.find((one) => one.id === id)?.bandwidth ?? 0;
    const kind = from === undefined ? 'set' : bandwidth(to) >= bandwidth(from) ? 'up' : 'down';
    plots.quality(now(), to);
    tell(kind, from === undefined ? `Quality ${nameOf(to)}` : `${nameOf(from)} → ${nameOf(to)}`, { reason, detail: auto ? choiceLine(change, nameOf) : 'fixed by hand' });
    showQuality();
  };
  on('qualitychange', (change) => { 
    // The first choice may come before the list it was made from.
    if (made.qualities.length) changed(change); else if (current) current.early = change;
  });
  on('tracks', ({ qualities, audio }) => {
    fillQualities(qualities);
    fillAudio(audio);
    if (current?.early) changed(current.early);
    if (current) current.early = undefined;
  });
  on('stall', ({ reason, position }) => { if (current) current.stalled = true; plots.stall(now()); tell('stall', `Stall at ${clock(position)}`, { reason }); setState('waiting'); });
  on('recovered', ({ reason, seconds: waited }) => { if (current) current.stalled = false; plots.recovered(now()); tell('ok', `Goes on after ${seconds(waited)}`, { reason }); if (!video.paused) setState('playing'); });
  on('gap', ({ reason, from, to }) => {
    const mended = reason.startsWith('sound-');
    if (current && !mended) current.jumped = to;
    tell('gap', `Gap ${clock(from)} – ${clock(to)} ${mended ? 'mended' : 'jumped'}`, { reason });
  });
  on('error', (error) => {
    if (error.severity === 'fatal') fail(error);
    else tell('err', plainMessage(error), { reason: error.code, detail: [error.context.url, error.recovery && `Tried: ${error.recovery}`].filter(Boolean).join(' · '), bad: true });
  });
  on('stats', (stats) => {
    plots.sample({ t: now(), buffer: stats.buffer, estimate: stats.estimate });
    if (current && current.startupTime === undefined && stats.startupTime !== undefined) {
      current.startupTime = stats.startupTime;
      tell('info', `First picture after ${seconds(stats.startupTime)}`, { detail: stats.inWorker ? 'the engine runs in a worker' : 'the engine runs on the page' });
    }
  });
  return made;
}

// ---- Failing ----

/** The message says what to do at its end; the panel says it in a line of its own. */
const plainMessage = ({ message, advice }) => (advice && message.endsWith(advice) ? message.slice(0, -advice.length).trim() : message);

function fail(error) {
  liveView.end();
  const { code = 'UNKNOWN', advice, recovery, context = {} } = error;
  tell('err', plainMessage(error), { reason: code, bad: true });
  const make = (tag, text, className) => Object.assign(document.createElement(tag), { textContent: text ?? '', className: className ?? '' });
  const list = make('dl');
  const row = (name, text, className) => { if (text !== undefined && text !== '') list.append(make('dt', name), make('dd', String(text), className)); };
  row('What to do', advice);
  row('URL', context.url ?? current?.url, 'mono');
  row('Status', context.status);
  row('Position', context.position, 'mono');
  row('Tried', recovery);
  const acts = make('div', '', 'acts');
  const again = Object.assign(make('button', 'Try again', 'again'), { type: 'button' });
  again.addEventListener('click', () => { if (current) void load(current.url, current.type, { history: false }); });
  const copy = Object.assign(make('button', 'Copy details'), { type: 'button' });
  copy.addEventListener('click', () => copyText(copy, JSON.stringify({ code, message: error.message, ...context, tried: recovery, userAgent: navigator.userAgent }, null, 2)));
  acts.append(again, copy);
  $('failure').replaceChildren(make('p', code, 'code'), make('h2', plainMessage(error)), list, acts);
  setState('failed');
}

/** Shows a word on a button for a moment. */
function flash(button, text) {
  const label = button.dataset.label ??= button.textContent;
  button.textContent = text;
  setTimeout(() => { button.textContent = label; }, 1500);
}

async function copyText(button, text) {
  try {
    await navigator.clipboard.writeText(text);
    flash(button, 'Copied');
  } catch { flash(button, 'Not allowed here'); }
}

// ---- Choosing ----

const option = (value, text) => Object.assign(document.createElement('option'), { value, textContent: text });

function fillQualities(qualities) {
  const select = $('quality');
  select.replaceChildren(option('', 'Auto'), ...[...qualities].reverse().map((one) => option(one.id, `${rung(one)} · ${qualityLine(one)}`)));
  select.disabled = qualities.length === 0;
  plots.rungs = qualities;
  showQuality();
}

function showQuality() {
  const present = player?.quality;
  const select = $('quality');
  select.options[0].textContent = present && player.auto ? `Auto · ${rung(present)}, ${bits(present.bandwidth)}` : 'Auto';
  const value = !player || player.auto ? '' : present?.id ?? '';
  if (select.value !== value) select.value = value;
}

function fillAudio(tracks) {
  const select = $('audio');
  const name = ({ label, language, roles }, index) => [label ?? language ?? `Track ${index + 1}`, label && language && label !== language ? language : '', roles.filter((role) => role !== 'main').join(', ')].filter(Boolean).join(' · ');
  select.replaceChildren(...(tracks.length ? tracks.map((track, index) => option(track.id, name(track, index))) : [option('', '–')]));
  select.disabled = tracks.length < 2;
  const active = tracks.find((track) => track.active);
  if (active) select.value = active.id;
}

$('quality').addEventListener('change', ({ target }) => { player?.selectQuality(target.value || null); });
$('audio').addEventListener('change', ({ target }) => {
  player?.selectAudio(target.value);
  tell('set', `Audio ${target.selectedOptions[0].textContent}`, { reason: 'user' });
});
$('rate').addEventListener('change', ({ target }) => { video.playbackRate = Number(target.value); });
$('cap').addEventListener('change', ({ target }) => { config.capToElement = target.checked; player?.configure({ capToElement: target.checked }); });
$('span').addEventListener('change', ({ target }) => { plots.span = Number(target.value); });
$('cancel').addEventListener('click', cancel);
$('again').addEventListener('click', () => { video.currentTime = 0; void video.play(); });
$('copy').addEventListener('click', ({ target }) => copyText(target, JSON.stringify({ url: current?.url, type: current?.type || undefined, stats: player?.stats(),
  qualities: player?.qualities, userAgent: navigator.userAgent, events: journal.entries }, null, 2)));
$('save').addEventListener('click', async ({ target }) => {
  const text = await player?.log();
  if (!text) return flash(target, 'Nothing yet');
  await saveText(text, `millrace-${new Date().toISOString().slice(0, 19).replaceAll(':', '-')}.jsonl`);
});
$('pick').addEventListener('click', () => $('file').click());
$('file').addEventListener('change', async ({ target }) => {
  const [file] = target.files;
  target.value = '';
  if (!file) return;
  try {
    const lines = readLog(await fileText(file));
    cancel();
    const { url, seconds: length } = drawLog(lines, { plots, journal });
    $('span').value = plots.span = [...$('span').options].map(({ value }) => Number(value)).find((span) => span >= length) ?? 1800;
    $('state').textContent = `Log of ${url?.split(/[?#]/)[0].split('/').at(-1) ?? 'nothing'}`;
  } catch (error) {
    tell('err', `${file.name} cannot be shown`, { detail: error.message, bad: true, quiet: true });
  }
});
$('open').addEventListener('submit', (event) => {
  event.preventDefault();
  void load($('url').value.trim(), $('type').value);
});

async function toggleStats() {
  if (!overlay) await startPlayer().catch(() => {});
  if (overlay) $('stats').setAttribute('aria-pressed', String(overlay.toggle()));
}
$('stats').addEventListener('click', toggleStats);
addEventListener('keydown', (event) => {
  if (event.key.toLowerCase() !== 's' || event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.('input, select, textarea')) return;
  event.preventDefault();
  void toggleStats();
});

// ---- What the element does ----

const follow = (type, react) => video.addEventListener(type, () => { if (current && !['empty', 'failed'].includes(document.body.dataset.state)) react(); });
follow('loadeddata', () => setState(video.paused ? 'ready' : 'playing'));
follow('playing', () => setState('playing'));
follow('waiting', () => { if (document.body.dataset.state !== 'loading') setState('waiting'); });
follow('pause', () => { if (!video.ended && document.body.dataset.state !== 'loading') setState('paused'); });
follow('ratechange', () => { const { playbackRate } = video; if ([...$('rate').options].some(({ value }) => Number(value) === playbackRate)) $('rate').value = String(playbackRate); });
follow('ended', () => { liveView.end(); setState('ended'); tell('info', 'The end', { quiet: true }); });
follow('seeking', () => { if (document.body.dataset.state !== 'loading') current.seek ??= performance.now(); });
follow('seeked', () => {
  if (current.seek === undefined) return;
  // Jumps and nudges of the player have told of themselves.
  const own = current.stalled || Math.abs(video.currentTime - (current.jumped ?? -1)) < 0.5;
  if (!own) tell('seek', `Seek to ${clock(video.currentTime)}`, { detail: `picture after ${Math.round(performance.now() - current.seek)} ms` });
  current.seek = current.jumped = undefined;
  if (video.paused && !video.ended) setState('paused');
});

// ---- Where streams come from ----

recent.onPick = load;
const fromAddress = (push) => {
  const query = new URLSearchParams(location.search);
  const url = query.get('url');
  if (url) void load(url, query.get('type') ?? '', { history: push });
  return Boolean(url);
};
addEventListener('popstate', () => { if (!fromAddress(false)) location.reload(); });

for (const [spec, text] of shapes) $('shape').append(option(spec, text));
const linked = fromAddress(false);
// The engine warms up while somebody decides what to play.
if (!linked) startPlayer().catch(fail);
samples = await listSamples({ list: $('samples'), note: $('samples-note'), liveList: $('live-samples'), liveSection: $('live-section') }, load);
$('shape-field').hidden = samples.count === 0;
$('shape').addEventListener('change', ({ target }) => {
  samples.shape(target.value);
  // The sample that plays goes on over the link that was chosen.
  const again = current && samples.urlOf(current.url);
  if (again) void load(again);
});
showSample();
