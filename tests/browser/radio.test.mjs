// Internet radio from icecast2, fed by ffmpeg and by GStreamer, and from a SHOUTcast server: what each engine decodes plays, titles come when they are
// heard, a server that drops is joined anew.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { encode, startIcecast, streamType } from '../../www/tools/live-servers.mjs';
import { Household } from '../../www/tools/processes.mjs';
import { startShoutcast } from '../../www/tools/shoutcast.mjs';
import { engine, useStage } from './support/stage.mjs';

const mounts = ['mp3', 'aac', 'aac+', 'aac+ v2', 'opus', 'vorbis', 'flac'].map((codec) => ({ codec, by: 'ffmpeg' }))
  .concat(['mp3', 'opus', 'vorbis', 'flac'].map((codec) => ({ codec, by: 'gstreamer' })))
  .map((feed) => ({ ...feed, mount: `/${feed.by}-${feed.codec.replace('+', 'plus').replace(' ', '-')}` }));
const mp3 = mounts[0].mount;
const proxies = {};

describe(`radio in ${engine}`, () => {
  const household = new Household();
  const stage = useStage({ proxies });
  let icecast;
  let shoutcast;
  before(async () => {
    icecast = await startIcecast(household);
    const station = { name: 'Shout FM', genre: 'Tones', bitrate: 48, rate: 44_100, type: streamType('aac+') };
    shoutcast = await startShoutcast(encode(household, 'aac+'), station);
    // For the page they are of its own origin, as behind the reverse proxy of a station.
    for (const { mount } of mounts) proxies[mount] = icecast.url;
    proxies['/;'] = shoutcast.url;
    await Promise.all(mounts.map(({ mount, codec, by }) => icecast.feed(mount, codec, { by, title: `A tone in ${codec}` })));
  });
  after(async () => {
    await shoutcast?.close();
    await household.end();
  });

  const titles = async (page) => (await page.events('metadata')).filter(({ detail }) => detail.kind !== 'station').map(({ detail }) => detail.title);
  const station = async (page) => (await page.events('metadata')).find(({ detail }) => detail.kind === 'station')?.detail;
  /** Waits until a title is told; it must be told at its time, and not with the bytes, which the server sends some seconds ahead. */
  const tells = async (page, title) => {
    const found = async () => (await page.events('metadata')).find(({ detail }) => detail.title === title);
    const { detail, position } = await stage.eventually(found, `the title ${title}`, 40_000);
    assert.ok(Math.abs(detail.time - position) < 1.5, `told at ${position}, belongs to ${detail.time}`);
    return detail;
  };

  for (const { mount, codec, by } of mounts) {
    test(`${codec} from ${by} plays, and its title is told`, async () => {
      const page = await stage.open();
      if (mount === mp3) await icecast.setTitle(mount, 'First: Größe');
      await page.load(mount);
      const { detail: loaded } = await page.event('loaded');
      assert.deepEqual([loaded.protocol, loaded.live], ['file', true]);
      await page.plays(3);
      assert.equal((await station(page))?.title, 'Test FM');
      if (mount === mp3) {
        await tells(page, 'First: Größe');
        await icecast.setTitle(mount, "Second; it's another");
        const { time } = await tells(page, "Second; it's another");
        assert.ok(time > 1);
      } else if (!codec.startsWith('aac')) {
        // The client library of shout2send puts an artist in front where a stream has ICY titles.
        const title = `${by === 'gstreamer' && codec === 'mp3' ? 'Unknown - ' : ''}A tone in ${codec}`;
        await stage.eventually(async () => (await titles(page)).includes(title), `the title ${title}`);
      }
      assert.deepEqual((await page.events('error')), []);
      assert.deepEqual((await page.events('stall')), []);
      await page.isClean();
    });
  }

  test('a SHOUTcast server is found by its host alone, whose page other origins may not read', async () => {
    for (const icy of ['auto', true]) {
      const page = await stage.open();
      shoutcast.log.length = 0;
      await page.load(shoutcast.url, {}, { icy });
      await page.plays(2);
      const asked = shoutcast.log.filter(({ method }) => method === 'GET').map(({ path }) => path);
      assert.deepEqual([...new Set(asked)], ['/', '/;']);
      // Across origins titles take a preflight, which it refuses.
      assert.equal(shoutcast.log.some(({ method }) => method === 'OPTIONS'), icy === true);
      assert.deepEqual(shoutcast.log.filter((request) => request.icy), []);
      assert.deepEqual(await page.events('error'), []);
      assert.deepEqual((await page.events('stall')), []);
      await page.isClean();
    }
  });

  test('SHOUTcast titles are told when they are heard, and a connection that drops is joined again while the buffer plays', async () => {
    const page = await stage.open();
    stage.server.pages['/'] = { body: '<!doctype html><title>Shoutcast Server</title>' };
    shoutcast.setTitle('First; here');
    await page.load('/');
    assert.deepEqual([...new Set(stage.requests(/^\/;?$/).map(({ path }) => path))], ['/', '/;']);
    await page.plays(2);
    assert.deepEqual(await station(page).then(({ title, values }) => [title, values.genre, values.br]), ['Shout FM', 'Tones', '48']);
    await tells(page, 'First; here');
    shoutcast.drop();
    const end = await page.bufferedEnd();
    await stage.eventually(() => shoutcast.listeners() > 0, 'it listens again');
    shoutcast.setTitle("Second; it's another");
    await page.until((from) => window.page.video.currentTime > from + 2, { args: [end], what: 'media of the new connection plays', timeoutMs: 40_000 });
    const { time } = await tells(page, "Second; it's another");
    assert.ok(time > end, `told of ${time}, joined at ${end}`);
    assert.deepEqual((await page.events('error')).filter(({ detail }) => detail.severity === 'fatal'), []);
    assert.deepEqual((await page.events('stall')), []);
    await page.isClean();
  });

  test('across origins it plays without titles; asked for, a refused preflight does no harm', async () => {
    for (const icy of ['auto', true]) {
      const page = await stage.open();
      await page.load(`${icecast.url}${mp3}`, {}, { icy });
      await page.plays(1);
      assert.deepEqual(await page.events('error'), []);
    }
  });

  test('lists lead to the station, past what does not answer', async () => {
    const page = await stage.open();
    Object.assign(stage.server.pages, {
      '/list.pls': { type: 'audio/x-scpls', body: `[playlist]\nNumberOfEntries=2\nFile1=/nothing.mp3\nFile2=${mp3}\n` },
      '/list.m3u': { type: 'audio/x-mpegurl', body: `#EXTM3U\n#EXTINF:-1,Test FM\n${mp3}\n` },
      '/list.xspf': { type: 'application/xspf+xml', body: '<?xml version="1.0"?><playlist version="1" xmlns="http://xspf.org/ns/0/"><trackList><track><location>/list.pls</location></track></trackList></playlist>' },
    });
    for (const list of ['/list.pls', '/list.m3u', '/list.xspf']) {
      await page.load(list, {}, { maxAttempts: 1 });
      await page.plays(0.5);
      assert.equal(await page.run(() => new URL(window.page.player.url).pathname), mp3);
    }
    await page.isClean();
  });

  test('a server that is started anew is joined again', async () => {
    const page = await stage.open();
    const port = icecast.port;
    const other = new Household();
    const second = new Household();
    try {
      const first = await startIcecast(other);
      await first.feed('/again.mp3', 'mp3');
      await page.load(`${first.url}/again.mp3`);
      await page.plays(2);
      await other.end();
      const again = await startIcecast(second, { port: first.port });
      assert.notEqual(first.port, port);
      // Of the same bytes it would be taken for a file that is sent once more.
      await again.feed('/again.mp3', 'mp3', { frequency: 880 });
      const before = await page.bufferedEnd();
      await page.plays(1);
      await page.until((end) => window.page.video.buffered.length && window.page.video.buffered.end(window.page.video.buffered.length - 1) > end + 3,
        { args: [before], what: 'media of the server that came back', timeoutMs: 40_000 });
      assert.deepEqual((await page.events('error')).filter(({ detail }) => detail.severity === 'fatal'), []);
      await page.plays(2);
    } finally {
      await other.end();
      await second.end();
    }
  });

  test('WAV is left to the element, which an event says', async () => {
    const page = await stage.open();
    const rate = 8000;
    const samples = Buffer.alloc(rate * 4);
    for (let i = 0; i < rate * 2; i++) samples.writeInt16LE(Math.round(8000 * Math.sin(i / 4)), i * 2);
    const head = Buffer.from('RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\0\0\0\0\0\0\0\0\x02\0\x10\0data\0\0\0\0', 'latin1');
    head.writeUInt32LE(36 + samples.length, 4);
    head.writeUInt32LE(rate, 24);
    head.writeUInt32LE(rate * 2, 28);
    head.writeUInt32LE(samples.length, 40);
    const url = await page.run((base64) => {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      return URL.createObjectURL(new Blob([bytes], { type: 'audio/wav' }));
    }, Buffer.concat([head, samples]).toString('base64'));
    await page.load(url);
    const { detail } = await page.event('fallback');
    assert.equal(detail.type, 'audio/wav');
    assert.equal(detail.error.code, 'FORMAT_UNSUPPORTED');
    const { detail: loaded } = await page.event('loaded');
    assert.equal(loaded.protocol, 'element');
    await page.plays(1);
    assert.ok(Math.abs((await page.state()).duration - 2) < 0.1);
    await page.load('/samples/hls-ts/240p/index.m3u8');
    await page.plays(0.5);
    await page.isClean();
  });
});
