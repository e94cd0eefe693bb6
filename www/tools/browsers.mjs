// The three engines over plain W3C WebDriver: a fresh profile each, nothing left behind.
import { createServer } from 'node:net';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Household } from './processes.mjs';
import { chromiumArgs, tool } from './setup.mjs';
import { Told } from './steps.mjs';

export const engines = ['chromium', 'firefox', 'webkit'];

const START_TIMEOUT_MS = 60_000;
/** A script that takes longer has hung, or its browser has: what waits for longer polls. */
const SCRIPT_TIMEOUT_MS = 45_000;

async function freePort() {
  const probe = createServer();
  await new Promise((resolve) => { probe.listen(0, '127.0.0.1', resolve); });
  const { port } = probe.address();
  await new Promise((resolve) => { probe.close(resolve); });
  return port;
}

/** A virtual screen for the engine that has no headless mode; resolves to its DISPLAY. */
async function screen(household) {
  const child = household.spawn(tool('Xvfb'), ['-displayfd', '3', '-screen', '0', '1600x1200x24', '-nolisten', 'tcp'], { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] });
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdio[3].on('data', (data) => { text += data; if (text.includes('\n')) resolve(`:${text.trim()}`); });
    child.on('exit', () => reject(new Error(`Xvfb ended: ${child.output}`)));
  });
}

function miniBrowser() {
  const found = readdirSync('/usr/lib').map((name) => `/usr/lib/${name}`)
    .flatMap((dir) => ['webkit2gtk-4.1', 'webkit2gtk-4.0', 'webkitgtk-6.0'].map((name) => path.join(dir, name, 'MiniBrowser'))).find(existsSync);
  if (!found) throw new Told('MiniBrowser is missing: install the Debian package webkit2gtk-driver');
  return found;
}

const firefoxPrefs = {
  'media.autoplay.default': 0, 'media.autoplay.blocking_policy': 0, 'media.hardware-video-decoding.enabled': false,
  // No service of the vendor is asked for anything.
  'app.normandy.enabled': false, 'app.update.disabledForTesting': true, 'browser.safebrowsing.downloads.enabled': false, 'browser.safebrowsing.malware.enabled': false,
  'browser.safebrowsing.phishing.enabled': false, 'browser.search.update': false, 'datareporting.policy.dataSubmissionEnabled': false, 'extensions.update.enabled': false,
  'media.gmp-manager.updateEnabled': false, 'network.captive-portal-service.enabled': false, 'network.connectivity-service.enabled': false,
  'network.dns.disableIPv6': true, 'toolkit.telemetry.server': '',
};

const drivers = {
  chromium: async (household, { args }) => ({
    command: [tool('chromedriver'), (port) => [`--port=${port}`]],
    capabilities: { browserName: 'chrome', 'goog:chromeOptions': { binary: tool('chromium'),
      args: [...chromiumArgs, '--mute-audio', '--disable-breakpad', `--user-data-dir=${path.join(household.folder, 'profile')}`, ...args] } },
  }),
  firefox: async (household, { args }) => ({
    command: [tool('geckodriver'), (port) => ['--port', String(port), '--websocket-port', '0', '--profile-root', household.folder]],
    capabilities: { browserName: 'firefox', 'moz:firefoxOptions': { binary: tool('firefox-esr'), args: ['-headless', ...args], prefs: firefoxPrefs } },
    env: { MOZ_CRASHREPORTER_DISABLE: '1' },
  }),
  webkit: async (household, { args }) => ({
    command: [tool('WebKitWebDriver'), (port) => [`--port=${port}`]],
    capabilities: { browserName: 'MiniBrowser', 'webkitgtk:browserOptions': { binary: miniBrowser(), args: ['--automation', '--autoplay-policy=allow', ...args] } },
    env: { DISPLAY: await screen(household), GDK_BACKEND: 'x11', LIBGL_ALWAYS_SOFTWARE: '1', NO_AT_BRIDGE: '1', HOME: household.folder,
      XDG_RUNTIME_DIR: household.folder,
      ...(process.getuid?.() === 0 && { WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1' }) },
  }),
};

class Browser {
  #household;
  #base;

  constructor(engine, household, base, capabilities) {
    Object.assign(this, { engine, version: capabilities.browserVersion });
    this.#household = household;
    this.#base = base;
  }

  /** Whether a command went unanswered or the page crashed: such a browser answers no other either. */
  hung = false;

  async #call(method, command, body, timeoutMs) {
    try { return await request(`${this.#base}${command}`, method, body, timeoutMs); } catch (error) {
      if (error instanceof NoAnswer || /invalid session|unknown error|Could not parse/.test(error.message)) {
        this.hung = true;
        // The reason, when a process of the browser has ended, is only there.
        const told = this.#household.output().trim().split('\n').slice(-12).join('\n');
        if (told) error.message += `\nThe browser's last output:\n${told}`;
      }
      throw error;
    }
  }

  async goto(url) { await this.#call('POST', '/url', { url }); }

  /** Runs `script` (a function, its text, or an expression's text) in the page and resolves to what it returns or promises; it may use only its arguments. */
  async run(script, ...args) {
    // Sent as text: WebDriver's own marshalling of odd values (undefined, NaN, cycles) differs between the engines.
    const wrapped = `const done = arguments[arguments.length - 1];
      (async () => (${script})(...JSON.parse(arguments[0])))().then(
        (value) => done(JSON.stringify({ value: value === undefined ? null : value })),
        (error) => done(JSON.stringify({ error: String(error), stack: error && error.stack || '' })));`;
    const answer = JSON.parse(await this.#call('POST', '/execute/async', { script: wrapped, args: [JSON.stringify(args)] }, SCRIPT_TIMEOUT_MS + 5_000));
    if ('error' in answer) throw new Error(`in ${this.engine}: ${answer.error}\n${answer.stack}`);
    return answer.value;
  }

  /** Polls `script` until what it returns is truthy and resolves to that. */
  async until(script, { timeoutMs = 20_000, args = [], every = 100, what = String(script) } = {}) {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const value = await this.run(script, ...args);
      if (value) return value;
      if (performance.now() > end) throw new Error(`in ${this.engine}: not within ${timeoutMs / 1000} s: ${what}`);
      await sleep(every);
    }
  }

  /** The page as PNG bytes, also written to `file` when given. */
  async screenshot(file) {
    const png = Buffer.from(await this.#call('GET', '/screenshot'), 'base64');
    if (file) writeFileSync(file, png);
    return png;
  }

  async setSize(width, height) { await this.#call('POST', '/window/rect', { width, height }); }

  /** A command of the Chrome DevTools Protocol (Chromium alone). */
  async cdp(cmd, params = {}) { return this.#call('POST', '/goog/cdp/execute', { cmd, params }); }

  /** Bytes resident in memory of the process that renders the page (Chromium alone: its largest renderer). */
  rendererMemory() {
    return Math.max(0, ...this.#household.processes().map((pid) => {
      try {
        if (!readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('--type=renderer')) return 0;
        return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024;
      } catch { return 0; }
    }));
  }

  /** Ends the session, the browser and its driver, and removes the profile. */
  async quit() {
    try { await this.#call('DELETE', '', undefined, 5_000); } catch { /* the processes are ended in any case */ }
    await this.#household.end();
  }

  async [Symbol.asyncDispose]() { await this.quit(); }
}

class NoAnswer extends Error {}

async function request(url, method, body, timeoutMs = 60_000) {
  let response;
  let value;
  try {
    response = await fetch(url, { method, body: body && JSON.stringify(body), headers: { 'Content-Type': 'application/json' }, signal: AbortSignal.timeout(timeoutMs) });
    ({ value } = await response.json());
  } catch (error) {
    const why = error.name === 'TimeoutError' ? `no answer in ${timeoutMs / 1000} s` : error.cause?.message ?? error.message;
    throw new NoAnswer(`WebDriver: ${method} …/${url.split('/').at(-1)}: ${why}`);
  }
  if (!response.ok) throw new Error(`WebDriver: ${value?.error}: ${value?.message?.split('\n')[0]}`);
  return value;
}

async function start(engine, { width, height, args }) {
  const household = new Household();
  try {
    const { command: [program, portArgs], capabilities, env } = await drivers[engine](household, { args });
    const port = await freePort();
    const driver = household.spawn(program, portArgs(port), { env });
    const base = `http://127.0.0.1:${port}`;
    const end = performance.now() + START_TIMEOUT_MS;
    for (;;) {
      if (driver.exitCode !== null) throw new Error(`${program} ended: ${driver.output}`);
      try { await request(`${base}/status`, 'GET', undefined, 5_000); break; } catch (error) {
        if (performance.now() > end) throw new Error(`${program} does not answer: ${error.message}\n${driver.output}`);
        await sleep(50);
      }
    }
    const session = await request(`${base}/session`, 'POST', { capabilities: { alwaysMatch: capabilities } }, START_TIMEOUT_MS)
      .catch((error) => { throw new Error(`${engine} did not start: ${error.message}\n${driver.output}`); });
    const browser = new Browser(engine, household, `${base}/session/${session.sessionId}`, session.capabilities);
    await request(`${base}/session/${session.sessionId}/timeouts`, 'POST', { script: SCRIPT_TIMEOUT_MS, pageLoad: 60_000 });
    await browser.setSize(width, height).catch(() => {}); // WebKit's driver refuses it on some screens; the default size does
    return browser;
  } catch (error) {
    await household.end();
    throw error;
  }
}

/** Starts an engine (one of `engines`) with a new profile. A start that fails is tried once more: drivers do at times. */
export async function launch(engine, { width = 1280, height = 900, args = [] } = {}) {
  if (!engines.includes(engine)) throw new Told(`Unknown browser ${engine}. Known: ${engines.join(', ')}.`);
  try { return await start(engine, { width, height, args }); } catch (error) {
    if (error instanceof Told) throw error;
    return start(engine, { width, height, args });
  }
}
