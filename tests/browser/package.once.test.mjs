// What `npm pack` makes works where users put it: a Vite project (served in development, and built), a page without a bundler, under a CSP.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { playerPages } from '../../www/tools/player-page.mjs';
import { Household } from '../../www/tools/processes.mjs';
import { samplesDir } from '../../www/tools/samples.mjs';
import { startServer } from '../../www/tools/server.mjs';
import { root, run } from '../../www/tools/steps.mjs';
import { launch } from '../../www/tools/browsers.mjs';
import { Page } from './support/stage.mjs';

const bin = (name) => path.join(root, 'node_modules/.bin', name);

describe('the npm package', () => {
  let project;
  let media;
  let browser;
  const at = (...parts) => path.join(project, ...parts);
  before(async () => {
    project = mkdtempSync(path.join(tmpdir(), 'millrace-package-'));
    media = await startServer({ mounts: { '/samples': samplesDir } });
    const packed = JSON.parse(await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', project]));
    const { filename } = Array.isArray(packed) ? packed[0] : Object.values(packed)[0];
    writeFileSync(at('package.json'), JSON.stringify({ name: 'empty', private: true, type: 'module' }));
    await run('npm', ['install', '--offline', '--no-audit', '--no-fund', at(filename)], { cwd: project });
    mkdirSync(at('src'));
    copyFileSync(path.join(root, 'www/tools/player-page.js'), at('src/player.js'));
    writeFileSync(at('src/main.js'), "import * as millrace from 'millrace';\nwindow.millrace = millrace;\nimport('./player.js');\n");
    writeFileSync(at('index.html'), '<!doctype html><title>empty</title><video muted></video><script type="module" src="/src/main.js"></script>');
    browser = await launch('chromium');
  });
  after(async () => {
    await browser?.quit();
    await media?.close();
    rmSync(project, { recursive: true, force: true });
  });

  /** Plays from another origin, as users' streams often are: HLS and DASH, each with its own build. */
  async function plays(pageUrl, { inWorker = true } = {}) {
    await browser.goto(pageUrl);
    await browser.until(() => window.pageReady === true, { what: `the page ${pageUrl}` });
    const page = new Page(browser);
    for (const sample of ['hls-ts/master.m3u8', 'dash-timeline/manifest.mpd']) {
      await page.load(`${media.url}/samples/${sample}`);
      const state = await page.plays(1);
      assert.equal(state.stats.inWorker, inWorker);
    }
    await page.isClean();
  }

  test('holds dist and its papers, and no dependencies', () => {
    const files = readdirSync(at('node_modules/millrace'));
    for (const name of ['dist', 'package.json', 'LICENSE']) assert.ok(files.includes(name), `${name} is missing`);
    const { dependencies, exports } = JSON.parse(readFileSync(at('node_modules/millrace/package.json'), 'utf8'));
    assert.equal(dependencies, undefined);
    for (const [name, target] of Object.entries(exports)) {
      for (const file of typeof target === 'string' ? [target] : Object.values(target)) assert.ok(existsSync(at('node_modules/millrace', file)), `${name} names ${file}, which is missing`);
    }
    for (const build of ['full', 'hls', 'dash', 'live']) assert.ok(existsSync(at(`node_modules/millrace/dist/${build}/millrace_bg.wasm`)));
  });

  test('has types that a strict project compiles against', async () => {
    writeFileSync(at('src/user.ts'), `import { Player, type PlayerConfig } from 'millrace';
      import { Player as Hls } from 'millrace/hls';
      import { Player as Dash } from 'millrace/dash';
      import 'millrace/element';
      const config: PlayerConfig = { bufferAhead: 20 };
      export async function start(video: HTMLVideoElement): Promise<number> {
        const player = new Player(video, config);
        player.addEventListener('error', (event) => { const code: string = event.detail.code; console.log(code); });
        await player.load('https://example.com/a.mpd', { startTime: 3 });
        const { stalls } = player.stats();
        await player.destroy();
        new Hls(video); new Dash(video);
        return stalls.count;
      }
      // @ts-expect-error: there is no such option
      export const wrong: PlayerConfig = { bufferAhed: 20 };
    `);
    for (const moduleResolution of ['bundler', 'nodenext']) {
      await run(bin('tsc'), ['--noEmit', '--strict', '--target', 'es2022', '--lib', 'es2022,dom,dom.iterable', '--types', '', '--module',
        moduleResolution === 'bundler' ? 'esnext' : 'nodenext', '--moduleResolution', moduleResolution, 'src/user.ts'], { cwd: project });
    }
  });

  test('plays in a project built by Vite', async () => {
    await run(bin('vite'), ['build', '--logLevel', 'warn'], { cwd: project });
    const server = await startServer({ mounts: { '/': at('dist') } });
    try { await plays(`${server.url}/index.html`); } finally { await server.close(); }
  });

  test('plays from Vite\'s development server', async () => {
    const household = new Household();
    try {
      const vite = household.spawn(bin('vite'), ['--host', '127.0.0.1', '--port', '0', '--logLevel', 'info', '--clearScreen', 'false'], { env: { NO_COLOR: '1' }, cwd: project });
      const end = performance.now() + 30_000;
      let address;
      while (!address) {
        assert.ok(performance.now() < end && vite.exitCode === null, `vite did not start: ${vite.output}`);
        await new Promise((resolve) => { setTimeout(resolve, 100); });
        address = /http:\/\/127\.0\.0\.1:\d+/.exec(vite.output)?.[0];
      }
      await plays(`${address}/`);
    } finally { await household.end(); }
  });

  test('plays from a plain module script, and needs no more of a CSP than is documented', async () => {
    const server = await startServer({ mounts: { '/node_modules': at('node_modules') }, pages: playerPages(),
      csp: `default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self' ${media.url}; media-src blob:; style-src 'unsafe-inline'; img-src data:` });
    try { await plays(`${server.url}/player.html?entry=/node_modules/millrace/dist/index.js`); } finally { await server.close(); }
  });
});
