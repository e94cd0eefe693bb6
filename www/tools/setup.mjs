// Brings a machine from "Debian 12, rustup, Node 20" to "can build, play and test"; on a machine that has everything it
// only looks (no network). Needs are split: `npm start` wants build + samples, `npm test` all of them.
import { accessSync, constants, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { homedir } from 'node:os';
import path from 'node:path';
import { Told, cache, isMain, main, root, run, step } from './steps.mjs';

const cargoHome = process.env.CARGO_HOME ?? path.join(homedir(), '.cargo');
const asRoot = process.getuid?.() === 0;

// rustup's bin folder is not on PATH until the shell is started anew.
const paths = (process.env.PATH ?? '').split(path.delimiter);
if (!paths.includes(path.join(cargoHome, 'bin'))) process.env.PATH = [path.join(cargoHome, 'bin'), ...paths].join(path.delimiter);

const executable = (file) => {
  try { accessSync(file, constants.X_OK); return true; } catch { return false; }
};

/** Where a program is: our node_modules first, then PATH; undefined when nowhere. */
export function find(name) {
  return [path.join(root, 'node_modules/.bin'), ...process.env.PATH.split(path.delimiter)].map((dir) => path.join(dir, name)).find(executable);
}

/** Like `find`, for a program that must be there by now. */
export function tool(name) {
  const file = find(name);
  if (!file) throw new Told(`${name} is not installed (npm run setup)`);
  return file;
}

/** What a short command prints, or '' where it is missing or fails. */
const says = (name, ...args) => {
  const file = find(name);
  if (!file) return '';
  try { return execFileSync(file, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim(); } catch { return ''; }
};

// ---- Debian packages: [package, what shows that it is there] ------------------------------------------------------

const gst = (file) => `/usr/lib/x86_64-linux-gnu/gstreamer-1.0/${file}`;
const packages = {
  build: [['build-essential', 'cc']],
  samples: [['ffmpeg', 'ffmpeg'], ['fonts-dejavu-core', '/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf']],
  chromium: [['chromium', 'chromium'], ['chromium-driver', 'chromedriver']],
  firefox: [['firefox-esr', 'firefox-esr']],
  webkit: [['webkit2gtk-driver', 'WebKitWebDriver'], ['xvfb', 'Xvfb'],
    ['gstreamer1.0-plugins-base', gst('libgstplayback.so')], ['gstreamer1.0-plugins-good', gst('libgstisomp4.so')],
    ['gstreamer1.0-plugins-bad', gst('libgstvideoparsersbad.so')], ['gstreamer1.0-libav', gst('libgstlibav.so')],
  ],
  servers: [['icecast2', 'icecast2'], ['gstreamer1.0-tools', 'gst-launch-1.0'], ['gstreamer1.0-plugins-base', gst('libgstogg.so')], ['gstreamer1.0-plugins-good', gst('libgstshout2.so')],
    ['gstreamer1.0-plugins-bad', gst('libgsthls.so')],
    ['nginx', '/usr/sbin/nginx'], ['libnginx-mod-rtmp', '/usr/lib/nginx/modules/ngx_rtmp_module.so']],
};

async function aptInstall(missing) {
  const command = `apt-get install ${missing.join(' ')}`;
  const label = missing.length > 3 ? `apt-get install (${missing.length} packages)` : command;
  if (!find('apt-get')) throw new Told(`Missing: ${missing.join(', ')} (names of Debian packages). Install them and start again.`);
  if (!asRoot) throw new Told(`Missing Debian packages: ${missing.join(', ')}.\nInstall them with:  sudo ${command}\nand start again.`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await step('apt-get update', () => run('apt-get', ['update', '-q'], { env }));
  await step(label, (note) => run('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...missing], { env,
    onLine: (line) => { const m = /^(Get|Unpacking|Setting up) ?:?\d* ?(?:\S+ \S+ \S+ )?(\S+)/.exec(line); if (m) note(`${m[1]} ${m[2]}`); } }));
}

async function debian(needs) {
  const present = (mark) => (mark.startsWith('/') ? existsSync(mark) : find(mark));
  const missing = needs.flatMap((need) => packages[need] ?? []).filter(([, mark]) => !present(mark)).map(([name]) => name);
  if (missing.length) await aptInstall(missing);
}

// ---- Rust ---------------------------------------------------------------------------------------------------------

const wasmTarget = 'wasm32-unknown-unknown';
const hasTarget = () => {
  const lib = path.join(says('rustc', '--print', 'sysroot'), 'lib/rustlib', wasmTarget, 'lib');
  return existsSync(lib) && readdirSync(lib).some((name) => name.startsWith('libstd-'));
};

/** The source of the standard library, which the builds for the browser make anew for size. */
const hasSource = () => existsSync(path.join(says('rustc', '--print', 'sysroot'), 'lib/rustlib/src/rust/library/Cargo.lock'));

/** A toolchain made by `targetFromDebian` stays the one to use: the marker outlives this process. */
const debianToolchain = path.join(cache, 'rust-from-debian');
const useDebian = () => {
  process.env.RUSTUP_TOOLCHAIN = 'debian';
  if (!find('rustup')) process.env.PATH = `/usr/bin${path.delimiter}${process.env.PATH}`;
};
if (existsSync(debianToolchain)) useDebian();

/** The wasm32 standard library built from Debian's copy of the Rust source, where rustup or its server is out of reach. */
async function targetFromDebian() {
  if (!asRoot) {
    throw new Told(`The Rust target ${wasmTarget} is missing and rustup could not add it.\nWith network: rustup target add ${wasmTarget}. `
      + 'Without: start this once as root, which builds it from the Debian package rust-web-src.');
  }
  await aptInstall(['rustc-web', 'cargo-web', 'rust-web-src', 'lld-22']);
  await step('standard library for wasm32, from source', async (note) => {
    const version = /rustc (\S+)/.exec(execFileSync('/usr/bin/rustc', ['--version'], { encoding: 'utf8' }))[1];
    const scratch = path.join(cache, 'rust-std');
    const library = `/usr/src/rustc-${version}/library`;
    await run('/usr/bin/cargo', ['build', '--locked', '--release', '--target', wasmTarget, '--manifest-path', 'sysroot/Cargo.toml'], {
      cwd: library,
      env: { PATH: `/usr/bin:${process.env.PATH}`, RUSTC: '/usr/bin/rustc', RUSTC_BOOTSTRAP: '1', CARGO_TARGET_DIR: scratch,
        RUSTFLAGS: '-Zforce-unstable-if-unmarked -Cembed-bitcode=yes' },
      onLine: (line) => { const m = /Compiling (\S+)/.exec(line); if (m) note(m[1]); },
    });
    const lib = `/usr/lib/rustlib/${wasmTarget}/lib`;
    await run('sh', ['-c', `mkdir -p ${lib} && cp '${scratch}'/${wasmTarget}/release/deps/*.rlib ${lib}/`]);
    const linker = '/usr/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld';
    await run('sh', ['-c', `mkdir -p ${path.dirname(linker)} && ln -sf "$(command -v lld-22)" ${linker}`]);
    await run('sh', ['-c', `mkdir -p /usr/lib/rustlib/src && ln -sfn '${path.dirname(library)}' /usr/lib/rustlib/src/rust`]);
    rmSync(scratch, { recursive: true, force: true });
    if (find('rustup')) await run('rustup', ['toolchain', 'link', 'debian', '/usr']);
  });
  mkdirSync(cache, { recursive: true });
  writeFileSync(debianToolchain, '');
  useDebian();
}

async function rust() {
  if (!find('cargo') && !existsSync(debianToolchain)) {
    if (!asRoot) throw new Told('Rust is missing: install rustup (https://rustup.rs) and start again.');
  } else if (hasTarget() && hasSource()) return;
  if (find('rustup') && !existsSync(debianToolchain)) {
    try {
      await step(`rustup target add ${wasmTarget}`, () => run('rustup', ['target', 'add', wasmTarget]));
      await step('rustup component add rust-src', () => run('rustup', ['component', 'add', 'rust-src']));
      if (hasTarget() && hasSource()) return;
    } catch { /* its server is out of reach: build the target instead */ }
  }
  await targetFromDebian();
}

/** Programs from crates.io, built where a build is quick rather than its result (they run for seconds). */
async function cargoInstall(crate, version) {
  await debian(['build']);
  await rust();
  await step(`cargo install ${crate}${version ? ` ${version}` : ''}`, (note) => run('cargo',
    ['install', crate, ...(version ? ['--version', version] : ['--locked'])], {
      env: { CARGO_TARGET_DIR: path.join(cache, 'tools-target'), CARGO_PROFILE_RELEASE_OPT_LEVEL: '1', CARGO_PROFILE_RELEASE_LTO: 'off',
        CARGO_PROFILE_RELEASE_CODEGEN_UNITS: '16' },
      onLine: (line) => { const m = /Compiling (\S+)/.exec(line); if (m) note(m[1]); },
    }));
}

/** The version of wasm-bindgen in Cargo.lock: the program must have the same one as the crate. */
function bindgenVersion() {
  const m = /name = "wasm-bindgen"\nversion = "([^"]+)"/.exec(readFileSync(path.join(root, 'Cargo.lock'), 'utf8'));
  if (!m) throw new Told('Cargo.lock does not name wasm-bindgen');
  return m[1];
}

async function wasmTools() {
  const wanted = bindgenVersion();
  // Not --locked: the lock file in that crate names versions that a registry may have lost.
  if (says('wasm-bindgen', '--version') !== `wasm-bindgen ${wanted}`) await cargoInstall('wasm-bindgen-cli', wanted);
  if (!find('wasm-pack')) await cargoInstall('wasm-pack');
}

// ---- Node ---------------------------------------------------------------------------------------------------------

/** Whether node_modules holds the versions that package-lock.json names (however they came there). */
function modulesAreFresh() {
  try {
    const read = (file) => JSON.parse(readFileSync(path.join(root, file), 'utf8')).packages;
    const installed = read('node_modules/.package-lock.json');
    return Object.entries(read('package-lock.json')).every(([name, { version, optional }]) => name === '' || optional || installed[name]?.version === version);
  } catch { return false; }
}

async function modules() {
  if (!modulesAreFresh()) await step('npm ci', () => run('npm', ['ci', '--no-audit', '--no-fund']));
}

/** Its binaries lie in the npm package itself. It is large, and wanted by live sources alone: no dependency of the project. */
const shaka = { version: '3.4.2', folder: path.join(cache, 'shaka-packager') };

/** The binary of shaka-packager. */
export const packager = () => path.join(shaka.folder, `node_modules/shaka-packager/bin/packager-linux-${process.arch}`);

async function shakaPackager() {
  let present;
  try { present = JSON.parse(readFileSync(path.join(packager(), '../../package.json'), 'utf8')).version; } catch { /* not yet */ }
  if (present === shaka.version && existsSync(packager())) return;
  mkdirSync(shaka.folder, { recursive: true });
  await step(`npm install shaka-packager@${shaka.version}`, () => run('npm', ['install', '--prefix', shaka.folder, '--no-audit', '--no-fund', '--ignore-scripts', `shaka-packager@${shaka.version}`]));
  if (!existsSync(packager())) throw new Told(`shaka-packager has no binary for ${process.arch}.`);
}

// ---- Browsers -----------------------------------------------------------------------------------------------------

/** What Chromium needs without a display, in tests, and (as root) without its sandbox. */
export const chromiumArgs = ['--headless', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage', '--autoplay-policy=no-user-gesture-required', ...(asRoot ? ['--no-sandbox'] : [])];

/** wasm-bindgen's test runner reads webdriver.json beside Cargo.toml and nowhere else: written here, for this machine, not in git. */
function webdriverConfig() {
  const file = path.join(root, 'webdriver.json');
  const text = `${JSON.stringify({ 'goog:chromeOptions': { binary: tool('chromium'), args: chromiumArgs } }, null, 2)}\n`;
  if (!existsSync(file) || readFileSync(file, 'utf8') !== text) writeFileSync(file, text);
}


async function lints() {
  if (!find('cargo-clippy') || !find('cargo-fmt') || (find('rustup') && !says('cargo-clippy', '--version'))) {
    if (find('rustup')) await step('rustup component add clippy rustfmt', () => run('rustup', ['component', 'add', 'clippy', 'rustfmt']));
  }
}

/**
 * Makes sure of what `needs` names: 'build' (Rust, wasm tools, node_modules), 'samples' (ffmpeg), 'chromium', 'firefox', 'webkit'
 * (an engine and its driver), 'servers' (of live streams, for tests), 'shaka' (shaka-packager), 'lints'. Looks first, installs only what is missing.
 */
export async function ensure(needs) {
  await debian(needs);
  if (needs.includes('build')) {
    await modules();
    await rust();
    await wasmTools();
  }
  if (needs.includes('shaka')) await shakaPackager();
  if (needs.includes('chromium')) webdriverConfig();
  if (needs.includes('firefox') && !find('geckodriver')) await cargoInstall('geckodriver');
  if (needs.includes('lints')) await lints();
  rmSync(path.join(cache, 'tools-target'), { recursive: true, force: true });
}

if (isMain(import.meta)) {
  await main(async () => {
    const all = ['build', 'samples', 'chromium', 'firefox', 'webkit', 'servers', 'shaka', 'lints'];
    const asked = process.argv.slice(2);
    const unknown = asked.find((need) => !all.includes(need));
    if (unknown) throw new Told(`Unknown need ${unknown}. Known: ${all.join(', ')}; none named means all.`);
    await ensure(asked.length ? asked : all);
    console.log('Everything is installed.');
  });
}
