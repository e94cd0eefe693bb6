// npm run live -- NAME: starts a live source from Debian's packages, and plays it (or, with --keep, only serves it).
import path from 'node:path';
import { build } from '../build.mjs';
import { engines, launch } from './browsers.mjs';
import { liveSources, needsOf, startLive } from './live-sources.mjs';
import { inWords, playAndReport } from './play.mjs';
import { openPlayerPage, playerPages } from './player-page.mjs';
import { startServer } from './server.mjs';
import { ensure } from './setup.mjs';
import { Told, main, root } from './steps.mjs';

const usage = `Usage: npm run live -- NAME [--seconds N] [--browser ${engines.join('|')}] [--json] [--keep]
Starts a live source and plays it for N seconds (20), or serves it until Ctrl-C (--keep).
Names:
${liveSources.map((name) => `  ${name}`).join('\n')}`;

function parse(args) {
  const options = { seconds: 20, browser: 'chromium', json: false, keep: false, name: undefined };
  const rest = [...args];
  while (rest.length) {
    const arg = rest.shift();
    if (arg === '--seconds' && Number(rest[0]) > 0) options.seconds = Number(rest.shift());
    else if (arg === '--browser' && engines.includes(rest[0])) options.browser = rest.shift();
    else if (arg === '--json' || arg === '--keep') options[arg.slice(2)] = true;
    else if (liveSources.includes(arg) && !options.name) options.name = arg;
    else throw new Told(usage);
  }
  if (!options.name) throw new Told(usage);
  return options;
}

await main(async () => {
  if (process.argv.length < 3) { console.log(usage); return 0; }
  const { name, keep, json, seconds, browser: engine } = parse(process.argv.slice(2));
  await ensure(['build', ...needsOf(name), ...(keep ? [] : [engine])]);
  await build({ gate: false });
  const server = await startServer({ mounts: { '/dist': path.join(root, 'dist'), '/': path.join(root, 'www/demo') }, pages: playerPages() });
  const source = await startLive(name);
  const url = source.urlOn(server);
  let browser;
  try {
    if (keep) {
      console.log(`${url}\nOn the demo page: ${server.url}/?url=${encodeURIComponent(url)}\n(Ctrl-C ends it)`);
      await new Promise(() => {});
    }
    process.stderr.write(`${url}\n`);
    browser = await launch(engine);
    await openPlayerPage(browser, server.url);
    const report = { source: name, ...await playAndReport(browser, url, { seconds, seeks: [] }) };
    console.log(json ? JSON.stringify(report) : inWords(report));
    return report.ok ? 0 : 1;
  } finally {
    await browser?.quit();
    await source.end();
    await server.close();
  }
});
