// npm start: everything a look at the player needs, then the demo page.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { build } from '../build.mjs';
import { liveSamples } from './live-on-demand.mjs';
import { makeSamples } from './samples.mjs';
import { startServer } from './server.mjs';
import { ensure } from './setup.mjs';
import { Told, main, root } from './steps.mjs';

const FIRST_PORT = 8080;

await main(async () => {
  const args = process.argv.slice(2);
  if (args.length && !(args.length === 2 && args[0] === '--port' && Number(args[1]) > 0)) throw new Told('Usage: npm start [-- --port N]');
  await ensure(['build', 'samples']);
  await makeSamples();
  await build({ gate: false });
  if (!existsSync(path.join(root, 'www/demo/index.html'))) throw new Told('www/demo/index.html is missing');
  const { proxies, pages } = liveSamples();
  let server;
  for (let port = Number(args[1] ?? FIRST_PORT); !server; port++) {
    try { server = await startServer({ port, proxies, pages }); } catch (error) {
      if (!(error instanceof Told) || args.length || port > FIRST_PORT + 20) throw error;
    }
  }
  console.log(`\nMillrace plays at  http://localhost:${server.port}/\n(Ctrl-C ends it)`);
  await new Promise(() => {});
});
