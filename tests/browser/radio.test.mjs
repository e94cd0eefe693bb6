// Internet radio from icecast2: what each engine decodes plays, titles come when they are heard, a server that drops is joined anew.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startIcecast } from '../../www/tools/live-servers.mjs';
import { Household } from '../../www/tools/processes.mjs';
import { engine, useStage } from './support/stage.mjs';

const mounts = { '/radio.mp3': 'mp3', '/radio.aac': 'aac', '/radio.opus': 'opus', '/radio.ogg': 'vorbis' };
const proxies = {};

describe(`radio in ${engine}`, () => {
  const household = new Household();
  const stage = useStage({ proxies });
  let icecast;
  before(async () => {
    icecast = await startIcecast(household);
    // For the page they are of its own origin, as behind the reverse proxy of a station.
    for (const mount of Object.keys(mounts)) proxies[mount] = icecast.url;
    await Promise.all(Object.entries(mounts).map(([mount, codec]) => icecast.feed(mount, codec, { title: `A tone in ${codec}` })));
  });
  after(() => household.end());

  for (const [mount, codec] of Object.entries(mounts)) {
    test(`${codec} plays, and its title is told`, async () => {
      const page = await stage.open();
      if (codec === 'mp3') await icecast.setTitle(mount, 'First: Größe');
      await page.load(mount);
      const [{ detail: loaded }] = await page.events('loaded');
      assert.deepEqual([loaded.protocol, loaded.live], ['file', true]);
      await page.plays(3);
      const titles = async () => (await page.events('metadata')).filter(({ detail }) => detail.kind !== 'station').map(({ detail }) => detail.title);
      const [station] = (await page.events('metadata')).filter(({ detail }) => detail.kind === 'station');
      assert.equal(station?.detail.title, 'Test FM');
      if (codec === 'mp3') {
        await stage.eventually(async () => (await titles()).includes('First: Größe'), 'the first title');
        await icecast.setTitle(mount, "Second; it's another");
        const { detail, position } = await stage.eventually(async () => (await page.events('metadata')).find((event) => event.detail.title === "Second; it's another"), 'the second title', 40_000);
        assert.ok(Math.abs(detail.time - position) < 1.5, `told at ${position}, belongs to ${detail.time}`);
        // Heard after it was fetched: the server sends some seconds ahead.
        assert.ok(detail.time > 1);
      } else if (codec !== 'aac') {
        await stage.eventually(async () => (await titles()).includes(`A tone in ${codec}`), 'the title in the comments');
      }
      assert.deepEqual((await page.events('error')), []);
      await page.isClean();
    });
  }

  test('across origins it plays without titles; asked for, a refused preflight does no harm', async () => {
    for (const icy of ['auto', true]) {
      const page = await stage.open();
      await page.load(`${icecast.url}/radio.mp3`, {}, { icy });
      await page.plays(1);
      assert.deepEqual(await page.events('error'), []);
    }
  });

  test('lists lead to the station, past what does not answer', async () => {
    const page = await stage.open();
    Object.assign(stage.server.pages, {
      '/list.pls': { type: 'audio/x-scpls', body: '[playlist]\nNumberOfEntries=2\nFile1=/nothing.mp3\nFile2=/radio.mp3\n' },
      '/list.m3u': { type: 'audio/x-mpegurl', body: '#EXTM3U\n#EXTINF:-1,Test FM\n/radio.mp3\n' },
      '/list.xspf': { type: 'application/xspf+xml', body: '<?xml version="1.0"?><playlist version="1" xmlns="http://xspf.org/ns/0/"><trackList><track><location>/list.pls</location></track></trackList></playlist>' },
    });
    for (const list of ['/list.pls', '/list.m3u', '/list.xspf']) {
      await page.load(list, {}, { maxAttempts: 1 });
      await page.plays(0.5);
      assert.equal(await page.run(() => new URL(window.page.player.url).pathname), '/radio.mp3');
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
      const before = (await page.state()).buffered.at(-1)[1];
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
    const [{ detail: loaded }] = await page.events('loaded');
    assert.equal(loaded.protocol, 'element');
    await page.plays(1);
    assert.ok(Math.abs((await page.state()).duration - 2) < 0.1);
    await page.load('/samples/hls-ts/240p/index.m3u8');
    await page.plays(0.5);
    await page.isClean();
  });
});
