// The low-latency origin keeps to RFC 8216bis and DASH: what the live tests measure rests on it. No browser is needed.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { strip } from '../../www/tools/frame-strip.mjs';
import { startLiveOrigin } from '../../www/tools/live-origin.mjs';
import { tool } from '../../www/tools/setup.mjs';

const segment = 1;
const fast = { segmentDuration: segment, partDuration: 0.2, window: 10, prefill: 12 };
const names = ['video', 'audio'];
let origin;
let ranges;
let folder;
before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'millrace-origin-'));
  [origin, ranges] = await Promise.all([startLiveOrigin({ ...fast, chunkDuration: 0.08 }), startLiveOrigin({ ...fast, byteRanges: true })]);
});
after(async () => {
  const processes = [...origin.processes(), ...ranges.processes()];
  await Promise.all([origin.close(), ranges.close()]);
  rmSync(folder, { recursive: true, force: true });
  assert.equal(processes.length, 4);
  for (const pid of processes) assert.throws(() => process.kill(pid, 0), 'an encoder outlived its origin');
});

const get = async (url, options) => {
  const response = await fetch(url, options);
  return { status: response.status, headers: response.headers, bytes: Buffer.from(await response.arrayBuffer()), at: Date.now() };
};
const text = async (url) => {
  const { status, bytes } = await get(url);
  assert.equal(status, 200, `${url}: ${bytes}`);
  return String(bytes);
};
const playlistUrl = (name, query = '', of = origin) => `${of.url}/hls/${name}/media.m3u8${query}`;
const mediaUrl = (name, uri, of = origin) => `${of.url}/hls/${name}/${uri}`;

const attributes = (list) => Object.fromEntries([...list.matchAll(/([A-Z-]+)=("[^"]*"|[^,]*)/g)].map(([, key, value]) => [key, value.replaceAll('"', '')]));

/** A media playlist as { tag: value, segments: [{ msn, uri, duration, date, parts }] }, the one in progress without a URI. */
function parse(playlist) {
  const result = { segments: [], reports: [], skipped: 0 };
  let open = { parts: [] };
  for (const line of playlist.trim().split('\n')) {
    const [, tag, value] = /^#(?:EXT-X-)?([A-Z0-9-]+)(?::(.*))?$/.exec(line) ?? [];
    if (tag === 'PART') open.parts.push(attributes(value));
    else if (tag === 'PROGRAM-DATE-TIME') open.date = Date.parse(value);
    else if (tag === 'EXTINF') open.duration = parseFloat(value);
    else if (tag === 'RENDITION-REPORT') result.reports.push(attributes(value));
    else if (tag === 'SKIP') result.skipped = Number(attributes(value)['SKIPPED-SEGMENTS']);
    else if (tag) result[tag] = value?.includes('=') ? attributes(value) : value ?? true;
    else {
      result.segments.push({ ...open, uri: line });
      open = { parts: [] };
    }
  }
  if (open.parts.length) result.segments.push(open);
  result.segments.forEach((one, index) => { one.msn = Number(result['MEDIA-SEQUENCE']) + result.skipped + index; });
  return result;
}

/** The next part that a playlist does not have: [msn, part]. */
function next({ segments }) {
  const last = segments.at(-1);
  return last.uri ? [last.msn + 1, 0] : [last.msn, last.parts.length];
}

test('the playlists say what the specification wants', async () => {
  const master = await text(origin.hls);
  assert.match(master, /^#EXTM3U\n[^]*CODECS="avc1\.[0-9A-F]{6},mp4a\.40\.2"[^]*\nvideo\/media\.m3u8\n$/);
  for (const name of names) {
    const whole = await text(playlistUrl(name));
    const playlist = parse(whole);
    const target = Number(playlist.TARGETDURATION);
    const partTarget = Number(playlist['PART-INF']['PART-TARGET']);
    const control = playlist['SERVER-CONTROL'];
    assert.ok(whole.startsWith('#EXTM3U\n') && Number(playlist.VERSION) >= 9);
    assert.equal(control['CAN-BLOCK-RELOAD'], 'YES');
    assert.ok(Number(control['PART-HOLD-BACK']) / partTarget > 2.999);
    assert.ok(Number(control['HOLD-BACK']) >= 3 * target && Number(control['CAN-SKIP-UNTIL']) >= 6 * target);
    assert.equal(playlist.MAP.URI, 'init.mp4');
    const done = playlist.segments.filter(({ uri }) => uri);
    assert.equal(done.length, 10);
    const shown = playlist.segments.reduce((sum, { duration = 0 }) => sum + duration, 0);
    let passed = 0;
    for (const { uri, duration, parts, date, msn } of playlist.segments) {
      assert.ok(Math.abs(date - origin.epoch - msn * segment * 1000) < 25, `${name} ${msn} at ${date - origin.epoch}`);
      assert.ok(!uri || Math.round(duration) <= target);
      if (uri && passed + duration < shown - 3 * target - 1) assert.equal(parts.length, 0);
      if (uri && passed + duration > shown - 2 * target) assert.ok(parts.length >= 5);
      parts.forEach((part, index) => {
        const length = Number(part.DURATION);
        assert.ok(length <= partTarget && (length >= 0.85 * partTarget || (uri && index === parts.length - 1)), `${name} ${part.URI}: ${length} of ${partTarget}`);
        assert.equal(part.INDEPENDENT, name === 'audio' || index === 0 ? 'YES' : undefined);
      });
      if (parts.length && uri) assert.ok(Math.abs(parts.reduce((sum, part) => sum + Number(part.DURATION), 0) - duration) < 1e-3);
      passed += duration ?? 0;
    }
    const hint = playlist['PRELOAD-HINT'];
    assert.deepEqual([hint.TYPE, hint.URI], ['PART', `${next(playlist).join('.')}.m4s`]);
    const [report] = playlist.reports;
    assert.equal(report.URI, `../${names.find((other) => other !== name)}/media.m3u8`);
    assert.ok(Math.abs(Number(report['LAST-MSN']) - next(playlist)[0]) <= 1 && Number(report['LAST-PART']) >= 0);
  }
});

test('a blocking reload answers when the part exists, and not before', async () => {
  const [msn, part] = next(parse(await text(playlistUrl('video'))));
  // Three parts on: within the segment, or past its end, where it means the first part of the next one.
  const wanted = part + 3;
  const { bytes, at } = await get(playlistUrl('video', `?_HLS_msn=${msn}&_HLS_part=${wanted}`));
  const answer = parse(String(bytes));
  const due = origin.epoch + (wanted >= 5 ? (msn + 1) * segment + 0.2 : msn * segment + (wanted + 1) * 0.2) * 1000;
  assert.ok(at >= due && at < due + 400, `${at - due} ms after the part`);
  // Five parts a segment. On a busy machine another one may be ready by then.
  const ahead = (next(answer)[0] - msn) * 5 + next(answer)[1] - (wanted >= 5 ? 6 : wanted + 1);
  assert.ok(ahead === 0 || ahead === 1, `${ahead} parts more`);
  const [later] = next(answer);
  const whole = parse(await text(playlistUrl('audio', `?_HLS_msn=${later}`)));
  assert.ok(whole.segments.some((one) => one.msn === later && one.uri));
  assert.ok(Date.now() >= origin.epoch + (later + 1) * segment * 1000);
  // What is there already is not waited for.
  const asked = Date.now();
  await text(playlistUrl('video', `?_HLS_msn=${later - 1}&_HLS_part=1`));
  assert.ok(Date.now() - asked < 150);
  // The first part of a segment: the rest of it lies ahead.
  const [fresh] = next(parse(await text(playlistUrl('video', `?_HLS_msn=${later + 1}&_HLS_part=0`))));
  for (const query of [`?_HLS_msn=${fresh}&_HLS_part=900`, `?_HLS_msn=${fresh + 9}`, '?_HLS_part=1', '?_HLS_msn=x']) {
    assert.equal((await get(playlistUrl('video', query))).status, 400, query);
  }
});

test('a delta update and what the client has are the full playlist', async () => {
  for (const name of names) {
    const old = await text(playlistUrl(name));
    const query = `?_HLS_msn=${next(parse(old))[0]}&_HLS_part=${next(parse(old))[1]}`;
    const [full, delta] = await Promise.all([text(playlistUrl(name, query)), text(playlistUrl(name, `${query}&_HLS_skip=YES`))]);
    const [a, b] = [parse(full), parse(delta)];
    assert.ok(b.skipped >= 3 && delta.length < full.length);
    assert.equal(a['MEDIA-SEQUENCE'], b['MEDIA-SEQUENCE']);
    assert.deepEqual(a.segments.slice(b.skipped), b.segments);
    const kept = b.segments.reduce((sum, { duration = 0 }) => sum + duration, 0);
    assert.ok(kept >= Number(a['SERVER-CONTROL']['CAN-SKIP-UNTIL']) - 1);
  }
});

test('a hinted part is held until it exists and comes complete; parts add up to their segment', async () => {
  const playlist = parse(await text(playlistUrl('video')));
  const [msn, part] = next(playlist);
  const { status, bytes, at, headers } = await get(mediaUrl('video', playlist['PRELOAD-HINT'].URI));
  assert.equal(status, 200);
  assert.equal(Number(headers.get('content-length')), bytes.length);
  assert.ok(at >= origin.epoch + (msn * segment + (part + 1) * 0.2) * 1000);
  const finished = parse(await text(playlistUrl('video', `?_HLS_msn=${msn}`)));
  const made = finished.segments.find((one) => one.msn === msn);
  const parts = await Promise.all(made.parts.map(async ({ URI }) => (await get(mediaUrl('video', URI))).bytes));
  assert.deepEqual(parts[part], bytes);
  assert.deepEqual(Buffer.concat(parts), (await get(mediaUrl('video', made.uri))).bytes);
  for (const uri of [`${msn}.5.m4s`, `${msn + 50}.m4s`, `${msn + 50}.0.m4s`]) assert.equal((await get(mediaUrl('video', uri))).status, 404, uri);
});

test('as byte ranges, parts add up to their segment, and the hint goes on from there', async () => {
  const playlist = parse(await text(playlistUrl('video', '', ranges)));
  const made = playlist.segments.filter(({ uri }) => uri).at(-1);
  const url = mediaUrl('video', made.uri, ranges);
  const whole = (await get(url)).bytes;
  let offset = 0;
  for (const { BYTERANGE, URI } of made.parts) {
    const [size, start] = BYTERANGE.split('@').map(Number);
    assert.deepEqual([URI, start], [made.uri, offset]);
    const { status, bytes, headers } = await get(url, { headers: { Range: `bytes=${start}-${start + size - 1}` } });
    assert.deepEqual([status, headers.get('content-range')], [206, `bytes ${start}-${start + size - 1}/${whole.length}`]);
    assert.deepEqual(bytes, whole.subarray(start, start + size));
    offset += size;
  }
  assert.equal(offset, whole.length);
  assert.equal((await get(url, { headers: { Range: `bytes=${whole.length}-` } })).status, 416);
  const hint = playlist['PRELOAD-HINT'];
  const start = Number(hint['BYTERANGE-START']);
  const rest = await get(mediaUrl('video', hint.URI, ranges), { headers: { Range: `bytes=${start}-` } });
  assert.equal(rest.status, 206);
  assert.ok(rest.headers.get('content-range').startsWith(`bytes ${start}-`));
  assert.deepEqual(rest.bytes, (await get(mediaUrl('video', hint.URI, ranges))).bytes.subarray(start));
});

test('segments after their initialization decode without a seam, and the picture has its number', async () => {
  for (const name of names) {
    const { segments } = parse(await text(playlistUrl(name)));
    const done = segments.filter(({ uri }) => uri).slice(-4);
    const file = path.join(folder, `${name}.mp4`);
    const pieces = await Promise.all(['init.mp4', ...done.map(({ uri }) => uri)].map(async (uri) => (await get(mediaUrl(name, uri))).bytes));
    writeFileSync(file, Buffer.concat(pieces));
    const shown = execFileSync(tool('ffprobe'), ['-v', 'error', '-show_entries', 'packet=dts,pts', '-of', 'csv=p=0', file], { encoding: 'utf8' });
    const packets = shown.trim().split('\n').map((line) => line.split(',').map(Number));
    const [timescale, frame] = name === 'video' ? [90_000, 3600] : [48_000, 1024];
    packets.forEach(([pts, dts], index) => assert.deepEqual([pts, dts], [packets[0][0] + index * frame, packets[0][0] + index * frame]));
    assert.ok(packets[0][0] >= done[0].msn * segment * timescale && packets[0][0] < done[0].msn * segment * timescale + frame);
    assert.ok(Math.abs(packets.length * frame - done.reduce((sum, { duration }) => sum + duration, 0) * timescale) < 2);
    if (name === 'audio') continue;
    const blocks = execFileSync(tool('ffmpeg'), ['-v', 'error', '-i', file, '-frames:v', '1', '-vf', `crop=iw:14:0:338,scale=${strip.bits + 2}:1:flags=area,format=gray`, '-f', 'rawvideo', 'pipe:1']);
    assert.equal([...blocks.subarray(1, -1)].reduce((sum, level) => sum * 2 + (level > 127 ? 1 : 0), 0), done[0].msn * segment * 25);
  }
});

test('LL-DASH: a segment comes while it is made', async () => {
  const manifest = await text(origin.dash);
  const offset = Number(/availabilityTimeOffset="([\d.]+)"/.exec(manifest)[1]);
  assert.match(manifest, /type="dynamic"[^]*<Latency target="1500"[^]*availabilityTimeComplete="false"[^]*utc:http-iso:2014" value="http[^"]+\/time"/);
  assert.equal(Date.parse(/availabilityStartTime="([^"]+)"/.exec(manifest)[1]), origin.epoch);
  assert.ok(Math.abs(Date.parse(await text(`${origin.url}/time`)) - Date.now()) < 200);
  // The next segment, at the moment from which the manifest has it.
  const number = Math.ceil((Date.now() - origin.epoch) / 1000 / segment);
  const from = origin.epoch + ((number + 1) * segment - offset) * 1000;
  await new Promise((resolve) => { setTimeout(resolve, from - Date.now()); });
  await Promise.all(names.map(async (name) => {
    const response = await fetch(`${origin.url}/dash/${name}/${number}.m4s`);
    assert.equal(response.status, 200);
    const pieces = [];
    const times = [];
    for await (const piece of response.body) { pieces.push(piece); times.push(Date.now() - from); }
    assert.ok(times[0] < 250, `${name} begins after ${times[0]} ms`);
    assert.ok(times.length >= 6 && times.at(-1) - times[0] > 500 * segment, `${name} at ${times}`);
    assert.ok(Date.now() >= origin.epoch + (number + 1) * segment * 1000);
    const again = await get(`${origin.url}/dash/${name}/${number}.m4s`);
    assert.deepEqual(Buffer.concat(pieces), again.bytes);
    assert.equal(Number(again.headers.get('content-length')), again.bytes.length);
  }));
  assert.equal((await get(`${origin.url}/dash/video/${number + 3}.m4s`)).status, 404);
});

test('faults are as ordered, and everything may be read across origins', async () => {
  const order = async (fault) => {
    const { status, bytes } = await get(`${origin.url}/control`, { method: 'POST', body: JSON.stringify(fault) });
    assert.equal(status, 200, String(bytes));
    return JSON.parse(bytes);
  };
  const state = JSON.parse(await text(`${origin.url}/control`));
  const ready = state.tracks.video.msn - 1;
  const fetchStatus = async (name) => (await get(mediaUrl(name, `${ready}.m4s`))).status;
  await order({ fault: 'status', status: 503, times: 2, track: 'video' });
  assert.deepEqual([await fetchStatus('audio'), await fetchStatus('video'), await fetchStatus('video'), await fetchStatus('video')], [200, 503, 503, 200]);

  await order({ fault: 'late', seconds: 0.3 });
  const asked = Date.now();
  assert.equal(await fetchStatus('video'), 200);
  assert.ok(Date.now() - asked >= 295);

  await order({ fault: 'hang' });
  const reload = playlistUrl('video', `?_HLS_msn=${ready}`);
  await assert.rejects(fetch(reload, { signal: AbortSignal.timeout(300) }), { name: 'TimeoutError' });
  assert.equal((await get(reload)).status, 200);

  const sequence = async () => Number(parse(await text(playlistUrl('video')))['MEDIA-SEQUENCE']);
  const usual = await sequence();
  await order({ fault: 'back', by: 4 });
  assert.ok(await sequence() < usual);
  assert.ok(await sequence() >= usual);
  await order({ fault: 'renumber', by: 5 });
  assert.ok(Math.abs(await sequence() - usual + 5) <= 1);
  assert.equal((await order({ fault: 'none' })).shift, 0);

  await order({ fault: 'freeze', seconds: 0.5 });
  const still = await text(playlistUrl('video'));
  await new Promise((resolve) => { setTimeout(resolve, 300); });
  assert.equal(await text(playlistUrl('video')), still);
  const [msn, part] = next(parse(still));
  assert.notEqual(await text(playlistUrl('video', `?_HLS_msn=${msn}&_HLS_part=${part}`)), still);

  const { end } = (await order({ fault: 'stall', seconds: 0.5 })).tracks.video;
  await new Promise((resolve) => { setTimeout(resolve, 350); });
  assert.equal(origin.state().tracks.video.end, end);

  assert.equal((await get(`${origin.url}/control`, { method: 'POST', body: '{"fault":"flood"}' })).status, 400);
  for (const url of [playlistUrl('video'), origin.dash, `${origin.url}/none`, mediaUrl('video', 'init.mp4')]) assert.equal((await get(url)).headers.get('access-control-allow-origin'), '*');
  const preflight = await get(mediaUrl('video', '1.m4s'), { method: 'OPTIONS', headers: { 'Access-Control-Request-Headers': 'range' } });
  assert.deepEqual([preflight.status, preflight.headers.get('access-control-allow-headers')], [204, '*']);
});

test('several qualities are listed, cut alike and told apart by their size', async () => {
  const many = await startLiveOrigin({ ...fast, rungs: [150, 600] });
  try {
    const master = await text(many.hls);
    const listed = [...master.matchAll(/BANDWIDTH=(\d+).*\n(.+)\/media\.m3u8/g)].map(([, bandwidth, name]) => [name, bandwidth > 0]);
    assert.deepEqual(listed, [['video150', true], ['video600', true]]);
    const mpd = await text(many.dash);
    assert.deepEqual([...mpd.matchAll(/<Representation id="(video\d+)"[^>]*bandwidth="(\d+)"/g)].map(([, name, bandwidth]) => [name, Number(bandwidth)]), [['video150', 175_000], ['video600', 700_000]]);
    const msn = Math.min(...['video150', 'video600'].map((name) => many.state().tracks[name].msn)) - 1;
    const reports = parse(await text(playlistUrl('video150', '', many))).reports.map(({ URI }) => URI);
    assert.deepEqual(reports, ['../video600/media.m3u8', '../audio/media.m3u8']);
    const [low, high] = await Promise.all(['video150', 'video600'].map(async (name) => {
      const { bytes, status, headers } = await get(mediaUrl(name, `${msn}.m4s`, many));
      assert.deepEqual([status, headers.get('content-type')], [200, 'video/mp4']);
      return bytes.length;
    }));
    assert.ok(high > 2 * low, `${low} ${high}`);
    for (const name of ['video', 'video1', 'toString', 'constructor']) assert.equal((await get(playlistUrl(name, '', many))).status, 404, name);
  } finally { await many.close(); }
});
