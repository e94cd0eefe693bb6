// RTMP as browsers get it: ffmpeg publishes to nginx, a relay of ours hands it on as HTTP-FLV and as FLV over a WebSocket.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startRelay } from '../../www/tools/flv-relay.mjs';
import { freePort, startRtmp } from '../../www/tools/live-servers.mjs';
import { Household } from '../../www/tools/processes.mjs';
import { engine, useStage } from './support/stage.mjs';

describe(`live FLV in ${engine}`, () => {
  const household = new Household();
  const stage = useStage();
  let relay;
  before(async () => {
    const rtmp = await startRtmp(household);
    await rtmp.publish('one');
    relay = await startRelay(household, rtmp.url('').replace(/\/$/, ''));
  });
  after(async () => {
    await relay?.close();
    await household.end();
  });

  for (const [what, url] of [['HTTP', () => relay.url('one')], ['a WebSocket', () => relay.socketUrl('one')]]) {
    test(`over ${what} it plays, and a connection that breaks is joined anew`, async () => {
      const page = await stage.open();
      await page.load(url());
      const { detail: loaded } = await page.event('loaded');
      assert.deepEqual([loaded.protocol, loaded.live], ['file', true]);
      await page.plays(3);
      const state = await page.state();
      assert.equal(state.width, 320);
      const clients = relay.log.length;
      relay.drop();
      await stage.eventually(() => relay.log.length > clients, 'another connection');
      await page.until((end) => window.page.video.currentTime > end + 1, { args: [await page.bufferedEnd()], what: 'media of the new connection plays', timeoutMs: 30_000 });
      assert.deepEqual((await page.events('error')).filter(({ detail }) => detail.severity === 'fatal'), []);
      await page.plays(1);
      await page.run(() => window.page.player.detach());
      await stage.eventually(() => relay.log.at(-1) && !relay.clients(), 'the connections are gone');
      await page.isClean();
    });
  }

  test('a WebSocket that is refused, and one that is no stream', async () => {
    const page = await stage.open();
    const refused = await page.tryLoad(`ws://127.0.0.1:${await freePort()}/live.flv`, {}, { maxAttempts: 1 });
    assert.equal(refused.code, 'NETWORK_FAILED');
    // The player's server speaks no WebSocket, and the relay none for other paths.
    assert.equal((await page.tryLoad(stage.server.url.replace('http', 'ws'))).code, 'NETWORK_FAILED');
    assert.match((await page.tryLoad(`ws://127.0.0.1:${relay.port}/nothing`)).code, /^(RESPONSE_TRUNCATED|NETWORK_FAILED)$/);
    await page.run(() => { window.page.record.events.length = 0; });
    await page.load([`ws://127.0.0.1:${relay.port}/nothing`, relay.url('one')]);
    await page.plays(1);
    await page.isClean();
  });
});
