import { launch } from './www/tools/browsers.mjs';
import { openPlayerPage, playerPages } from './www/tools/player-page.mjs';
import { samplesDir } from './www/tools/samples.mjs';
import { startServer } from './www/tools/server.mjs';
const server = await startServer({ mounts: { '/dist': '/tmp/wt/files/dist', '/samples': samplesDir }, pages: playerPages() });
for (let k = 0; k < 6; k++) {
  const browser = await launch('firefox');
  await openPlayerPage(browser, server.url);
  await browser.run(() => {
    window.ops = [];
    const log = (name, args) => window.ops.push(`${performance.now().toFixed(0)} ${name} ${args.map((a) => (typeof a === 'number' || typeof a === 'string' ? a : a?.byteLength)).join(',')}`);
    for (const [proto, names] of [[MediaSource.prototype, ['endOfStream', 'addSourceBuffer']], [SourceBuffer.prototype, ['appendBuffer', 'remove', 'abort', 'changeType']]])
      for (const name of names) { const f = proto[name]; proto[name] = function (...args) { try { const r = f.apply(this, args); log(`${name} (${this.readyState ?? ''})`, args); return r; } catch (e) { log(`${name} THREW ${e.message}`, args); throw e; } }; }
    for (const [proto, name] of [[MediaSource.prototype, 'duration'], [SourceBuffer.prototype, 'timestampOffset']]) {
      const d = Object.getOwnPropertyDescriptor(proto, name);
      Object.defineProperty(proto, name, { get: d.get, set(v) { try { d.set.call(this, v); log(`set ${name}`, [v]); } catch (e) { log(`set ${name} THREW ${e.message}`, [v]); throw e; } } });
    }
    window.page.video.addEventListener('seeking', () => log('SEEKING', [window.page.video.currentTime]));
  });
  await browser.run((u) => window.page.load(u), '/samples/files/opus.ts');
  const wait = (ms) => new Promise((r) => setTimeout(r, ms));
  await wait(1500);
  for (const t of [45.6, 18.2]) { await browser.run((at) => window.page.seek(at), t); await wait(700); }
  await browser.run(() => { window.page.video.play(); window.page.video.currentTime = 59.6; });
  await wait(4000);
  const s = await browser.run(() => window.page.state());
  console.log(k, s.ended, s.time, s.readyState, JSON.stringify(s.buffered));
  if (!s.ended) { console.log((await browser.run(() => window.ops)).filter((l, i, a) => i > a.length - 60).join('\n')); break; }
  await browser.quit();
}
process.exit(0);
