// Serves the page of player-page.js.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from './steps.mjs';

const html = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>player</title>
<link rel="icon" href="data:,">
<style>html { background: #111 } body { margin: 0 } video { width: 100vw; height: 100vh }</style>
<video muted playsinline></video>
<script type="module" src="/player.js"></script></html>
`;

/** For the `pages` of a server: /player.html (?entry=… for another build of the library than /dist/index.js). */
export const playerPages = () => ({
  '/player.html': { body: html },
  '/player.js': { type: 'text/javascript', body: readFileSync(path.join(root, 'www/tools/player-page.js'), 'utf8') },
  '/frame-strip.js': { type: 'text/javascript', body: readFileSync(path.join(root, 'www/tools/frame-strip.mjs'), 'utf8') },
});

/** Opens the page in a browser of browsers.mjs; after this `page` can be used in `browser.run`. */
export async function openPlayerPage(browser, origin, { entry } = {}) {
  await browser.goto(`${origin}/player.html${entry ? `?entry=${encodeURIComponent(entry)}` : ''}`);
  await browser.until(() => window.pageReady === true, { what: 'the test page' });
}
