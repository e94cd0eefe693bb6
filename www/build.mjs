// npm run build: src/ -> .cache/pkg/<build> (wasm-pack, wasm-opt) -> dist/, gated by the size budgets of wasm-pack.toml.
// npm run size: what each build weighs on the wire, beside other players. See www/README.md for what www/lib may rely on.
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants } from 'node:zlib';
import { fingerprint, stamp } from './tools/fingerprint.mjs';
import { namedByLikeness } from './tools/likeness.mjs';
import { ensure, tool } from './tools/setup.mjs';
import { Told, cache, isMain, main, root, run, step } from './tools/steps.mjs';

const dist = path.join(root, 'dist');
const entries = ['index', 'element', 'hls', 'dash', 'live', 'log'];
/** The entry that a user of each build imports: its size counts with the build. */
const entryOf = { full: 'index', hls: 'hls', dash: 'dash', live: 'live', log: 'log' };

/** The target features that rustc turns on for wasm32 (and SIMD, .cargo/config.toml): wasm-opt may use no others. */
const wasmFeatures = ['simd', 'bulk-memory', 'bulk-memory-opt', 'nontrapping-float-to-int', 'sign-ext', 'mutable-globals',
  'reference-types', 'multivalue', 'call-indirect-overlong'].map((name) => `--enable-${name}`);

/** Calls weigh less on the wire than inlined copies of what they call (3 % here, and wasm-opt is done in a third of the time). */
const optimise = ['-Oz', '--flatten', '--rereloop', '-Oz', '--converge', '--inline-max-combined-binary-size', '1',
  // Nothing lives in the first KiB: the stack lies below all data and grows down to it, so that offsets fold into loads and stores.
  '--low-memory-unused',
  // What is left to fold shows now (0.4 %).
  '-Os', ...wasmFeatures, '--strip-debug', '--strip-producers', '--strip-target-features'];

/**
 * Without the texts of panics and the derived Debug texts, and with a standard library that is made for size: 10 kB on the wire. A defect
 * then traps, which `adaptGlue` reports; a build with --debug names the place. rustc has these options behind RUSTC_BOOTSTRAP only. (An
 * environment variable takes the place of the flags in .cargo/config.toml, hence simd128 again.)
 */
const lean = { RUSTC_BOOTSTRAP: '1', CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS:
  '-C target-feature=+simd128 -Z location-detail=none -Z fmt-debug=none -Z unstable-options -C panic=immediate-abort' };
const ownStd = ['-Z', 'build-std=std,panic_abort', '-Z', 'build-std-features=optimize_for_size'];

/**
 * Has every call into the module watched: what traps is told to the function given to `onTrap`, and goes on as an exception. And a way to
 * instantiate a module that is compiled, without all that wasm-bindgen's own has for others (0.4 kB on the wire).
 */
function adaptGlue(out) {
  const glueFile = path.join(out, 'millrace.js');
  const glue = readFileSync(glueFile, 'utf8');
  const guarded = glue.replace('wasm = instance.exports;', `wasm = Object.fromEntries(Object.entries(instance.exports).map(([name, value]) => [name, typeof value === 'function' ? (...args) => {
      try { return value(...args); } catch (error) { if (error instanceof WebAssembly.RuntimeError) trapped(error); throw error; }
    } : value]));`);
  if (guarded === glue) throw new Told('The glue of wasm-bindgen has no place where it takes the exports: adaptGlue (www/build.mjs) must learn its new form.');
  if (!/^function __wbg_finalize_init\(instance, module\)/m.test(glue) || !/^function __wbg_get_imports\(\)/m.test(glue)) {
    throw new Told('The glue of wasm-bindgen takes an instance in another way: adaptGlue (www/build.mjs) must learn it.');
  }
  // What stands in where a browser lacks what every browser with ES2022 has.
  const lean = [/^if \(!\('encodeInto' in cachedTextEncoder\)\) \{[^]*?^\}\n/m, /\(typeof FinalizationRegistry === 'undefined'\)\s*\? \{.*\}\s*: /g].reduce((text, pattern) => {
    const without = text.replace(pattern, '');
    if (without === text) throw new Told(`The glue of wasm-bindgen has no ${pattern}: adaptGlue (www/build.mjs) must learn its new form.`);
    return without;
  }, guarded);
  writeFileSync(glueFile, `let trapped = () => {};\nexport function onTrap(tell) { trapped = tell; }\n${lean}
export async function instantiate(module) { __wbg_finalize_init(await WebAssembly.instantiate(module, __wbg_get_imports()), module); }\n`);
  appendFileSync(path.join(out, 'millrace.d.ts'), `
export function onTrap(tell: (error: unknown) => void): void;
export function instantiate(module: WebAssembly.Module): Promise<void>;\n`);
}

/**
 * The order of functions in which they compress best; and short names for imports and exports, in the module and in its glue alike:
 * wasm-bindgen's end in hashes, which no compressor shrinks (2.5 kB on the wire).
 */
async function pack(out) {
  const file = path.join(out, wasmFile);
  const module = readFileSync(file);
  // Which of these compresses best shows once it is tried (0.3 %).
  const tries = await Promise.all([0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85].map(async (fading) => {
    const to = `${file}.${fading}`;
    writeFileSync(to, namedByLikeness(module, fading));
    const map = await run(tool('wasm-opt'), [to, '-o', to, ...wasmFeatures, '--reorder-functions-by-name', '--strip-debug',
      '--minify-imports-and-exports-and-modules']);
    return { to, map, size: await brotli(to) };
  }));
  const best = tries.reduce((least, one) => (one.size < least.size ? one : least));
  renameSync(best.to, file);
  for (const { to } of tries) rmSync(to, { force: true });
  const names = JSON.parse(best.map);
  const glueFile = path.join(out, 'millrace.js');
  let glue = readFileSync(glueFile, 'utf8');
  const replace = (pattern, by) => {
    const before = glue;
    glue = glue.replace(pattern, by);
    if (glue === before) throw new Told(`The glue of wasm-bindgen has no ${pattern}: pack (www/build.mjs) must learn its new form.`);
  };
  const word = (name) => name.replace(/[$]/g, '\\$&');
  for (const module of new Set(names.imports.map(([from]) => from))) replace(`"${module}": import0`, '"a": import0');
  for (const [, from, to] of names.imports) replace(new RegExp(`^(\\s+)${word(from)}:`, 'm'), (_, space) => `${space}${to}:`);
  for (const [from, to] of names.exports) {
    // Some exports have no caller in the glue.
    glue = glue.replace(new RegExp(`\\bwasm\\.${word(from)}(?![\\w$])`, 'g'), () => `wasm.${to}`);
  }
  writeFileSync(glueFile, glue);
}

/**
 * Puts our reader of decimals in the place of `f64::from_str`, which the crates that read manifests call: src/bytes/decimal.rs says why.
 * Both have the same Rust signature, so calls of one are calls of the other.
 */
async function substituteDecimals(file) {
  const { default: binaryen } = await import('binaryen');
  const module = binaryen.readBinary(readFileSync(file));
  const functions = Array.from({ length: module.getNumFunctions() }, (_, i) => binaryen.getFunctionInfo(module.getFunctionByIndex(i)));
  const theirs = functions.filter(({ name }) => /f64.*core.*FromStr.*from_str/.test(name));
  const ours = 'millrace_decimal';
  const own = functions.find(({ name }) => name === ours);
  const [found] = theirs;
  if (theirs.length !== 1 || !own || own.params !== found.params || own.results !== found.results) {
    throw new Told(`f64::from_str is not where substituteDecimals (www/build.mjs) looks for it: ${theirs.map(({ name }) => name).join(', ') || 'nowhere'}`);
  }
  const operands = binaryen.expandType(found.params).map((type, i) => module.local.get(i, type));
  module.removeFunction(found.name);
  module.addFunction(found.name, found.params, found.results, [], module.call(ours, operands, found.results));
  module.removeExport(ours);
  const bytes = module.emitBinary();
  module.dispose();
  // Nobody reads its tables any more, but no tool takes data out of a segment: zeros weigh nothing.
  const digits = Uint8Array.from(Array.from({ length: 60 }, (_, i) => String(5n ** BigInt(i + 1))).join(''), Number);
  clear(bytes, digits, digits);
  // 5^q for q from -342 to 308, as 128-bit mantissas in two halves of which the higher one comes first.
  clear(bytes, halves('eef453d6923bd65a113faa2906a13b3f'), halves('8e679c2f5e44ff8f570f09eaa7ea7648'), 16 * 651);
  writeFileSync(file, bytes);
}

const halves = (hex) => Buffer.concat([hex.slice(0, 16), hex.slice(16)].map((half) => Buffer.from(half, 'hex').reverse()));

/** Makes zeros of what begins with `first` and ends with `last`. */
function clear(bytes, first, last, length = first.length) {
  const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(first);
  const end = at + length;
  if (at < 0 || Buffer.compare(bytes.subarray(end - last.length, end), last)) throw new Told('The tables of f64::from_str are not where substituteDecimals (www/build.mjs) looks for them.');
  bytes.fill(0, at, end);
}

export async function readConfig() {
  const { parse } = await import('smol-toml');
  const config = parse(readFileSync(path.join(root, 'wasm-pack.toml'), 'utf8'));
  const builds = Object.entries(config.build).map(([name, { features, 'budget-kb': budgetKb }]) => {
    if (!Array.isArray(features) || !(budgetKb > 0)) throw new Told(`wasm-pack.toml: [build.${name}] needs features and budget-kb`);
    return { name, features, budget: budgetKb * 1000 };
  });
  return { target: config.target, profile: config.profile, builds };
}

export const pkgDir = (build) => path.join(cache, 'pkg', build.name);
const wasmFile = 'millrace_bg.wasm';

/** One after another: builds share cargo's target directory. The first that fails ends those after it. */
let compiling = Promise.resolve();

/** .cache/pkg/<build>/ with the glue, its types and the optimised module. wasm-opt works while another build compiles. */
export async function buildWasm({ target, profile }, build, debug) {
  const hash = fingerprint(['src', 'www/tools/likeness.mjs', 'Cargo.toml', 'Cargo.lock', '.cargo/config.toml'],
    target, profile, build.features, debug, optimise, lean, ownStd, adaptGlue.toString(), pack.toString(), substituteDecimals.toString(), clear.toString());
  const out = pkgDir(build);
  const done = stamp(`wasm-${build.name}`, hash, [path.join(out, wasmFile), path.join(out, 'millrace.js')]);
  if (done.fresh) return;
  done.invalidate();
  compiling = compiling.then(() => step(`wasm-pack ${build.name}`, async (note) => {
    const crate = (line) => { const m = /Compiling (\S+)/.exec(line); if (m) note(m[1]); };
    await run(tool('wasm-pack'), ['build', '--target', target, ...(debug ? ['--dev'] : ['--profile', profile]), '--no-opt', '--mode', 'no-install',
      '--no-pack', '--out-dir', path.relative(root, out), '--out-name', 'millrace', root,
      '--', '--no-default-features', '--features', build.features.join(','), ...(debug ? [] : ownStd)], { onLine: crate, env: debug ? {} : lean });
  }));
  await compiling;
  adaptGlue(out);
  if (!debug) {
    await step(`wasm-opt ${build.name}`, async () => {
      const file = path.join(out, wasmFile);
      await substituteDecimals(file);
      await run(tool('wasm-opt'), [file, '-o', file, ...optimise]);
      await pack(out);
    });
  }
  done.made();
}

/** Bundles www/lib: the entries, then a worker and a page engine for each build with that build's glue inside. */
async function bundle(builds, debug) {
  const { build: esbuild } = await import('esbuild');
  const options = { bundle: true, format: 'esm', target: 'es2022', minify: !debug, sourcemap: debug, absWorkingDir: root, metafile: true,
    legalComments: 'none', logLevel: 'warning', tsconfig: 'www/tsconfig.json' };
  const engines = {
    name: 'engines',
    // The engine of a build is a file of its own, fetched only when a URL needs that build.
    setup: (b) => b.onResolve({ filter: /^build:engine\// }, ({ path: id }) => ({ path: `./${id.slice('build:engine/'.length)}/engine.js`, external: true })),
  };
  const glue = (build) => ({
    name: 'glue',
    setup: (b) => b.onResolve({ filter: /^build:wasm$/ }, () => ({ path: path.join(pkgDir(build), 'millrace.js') })),
  });
  // Entries are whole files: shared chunks would cost a cold page one more round trip. The element's player is that of `millrace`.
  const index = {
    name: 'index',
    setup: (b) => b.onResolve({ filter: /^\.\/index\.ts$/ }, () => ({ path: './index.js', external: true })),
  };
  const results = await Promise.all([
    esbuild({ ...options, entryPoints: entries.map((name) => `www/lib/${name}.ts`), outdir: 'dist', plugins: [engines, index] }),
    ...builds.map((build) => esbuild({ ...options, entryPoints: ['www/lib/worker.ts', 'www/lib/engine.ts'],
      outdir: `dist/${build.name}`, plugins: [glue(build), engines], define: { LOG: String(build.features.includes('log')) } })),
  ]);
  for (const build of builds) copyFileSync(path.join(pkgDir(build), wasmFile), path.join(dist, build.name, wasmFile));
  const outputs = Object.assign({}, ...results.map(({ metafile }) => metafile.outputs));
  if (!debug) await Promise.all(Object.keys(outputs).map((file) => shorten(path.join(root, file))));
  writeFileSync(path.join(cache, 'outputs.json'), JSON.stringify(Object.fromEntries(Object.entries(outputs).map(([file, { imports }]) =>
    [file, imports.filter(({ kind }) => kind === 'import-statement').map((i) => i.path.replace(/^\.\//, 'dist/'))]))));
}

/** Once more, with what esbuild leaves (2 % on the wire). The glue's functions are arrows as well: nobody asks for their `this`. */
async function shorten(file) {
  const { minify } = await import('terser');
  const { code } = await minify(readFileSync(file, 'utf8'), { module: true, ecma: 2020, compress: { passes: 3, unsafe_arrows: true, unsafe_methods: true } });
  writeFileSync(file, code);
}

/** Type-checks www/lib and writes the .d.ts that the public entries lead to (the worker's and engine's stay private). */
async function types() {
  const out = path.join(cache, 'types');
  rmSync(out, { recursive: true, force: true });
  await run(tool('tsc'), ['-p', 'www/tsconfig.json', '--outDir', out]);
  const wanted = entries.map((name) => `${name}.d.ts`);
  for (const file of wanted) {
    const text = readFileSync(path.join(out, file), 'utf8');
    for (const [, name] of text.matchAll(/(?:from|import)\s*\(?\s*['"]\.\/([\w/.-]+?)(?:\.[jt]s)?['"]/g)) {
      if (existsSync(path.join(out, `${name}.d.ts`)) && !wanted.includes(`${name}.d.ts`)) wanted.push(`${name}.d.ts`);
    }
  }
  for (const file of wanted) {
    // The sources name each other with .ts; a user's compiler looks for the .d.ts beside the .js.
    const text = readFileSync(path.join(out, file), 'utf8').replace(/((?:from|import)\s*\(?\s*['"]\.{1,2}\/[\w/.-]+)\.ts(['"])/g, '$1.js$2');
    mkdirSync(path.dirname(path.join(dist, file)), { recursive: true });
    writeFileSync(path.join(dist, file), text);
  }
}

const brotli = async (file) => {
  const bytes = readFileSync(file);
  const packed = await promisify(brotliCompress)(bytes, { params: {
    [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } });
  return packed.length;
};

/** What a page loads to play with each build: its entry, then the worker or the page engine (the larger counts), and the module. */
async function sizes(builds) {
  const imports = JSON.parse(readFileSync(path.join(cache, 'outputs.json'), 'utf8'));
  const closure = (file, seen = new Set()) => {
    seen.add(file);
    for (const next of imports[file] ?? []) if (!seen.has(next)) closure(next, seen);
    return [...seen];
  };
  const sum = async (files) => (await Promise.all(files.map((file) => brotli(path.join(root, file))))).reduce((a, b) => a + b, 0);
  return Promise.all(builds.map(async ({ name, budget }) => {
    const [wasm, entry, worker, engine] = await Promise.all([
      sum([`dist/${name}/${wasmFile}`]), sum(closure(`dist/${entryOf[name] ?? 'index'}.js`)),
      sum([`dist/${name}/worker.js`]), sum([`dist/${name}/engine.js`])]);
    const js = entry + Math.max(worker, engine);
    return { name, wasm, js, total: wasm + js, budget, over: wasm + js > budget };
  }));
}

const peerFiles = {
  'hls.js': 'hls.js/dist/hls.min.js', 'hls.js light': 'hls.js/dist/hls.light.min.js',
  'dash.js mediaplayer': 'dashjs/dist/modern/umd/dash.mediaplayer.min.js', 'dash.js all': 'dashjs/dist/modern/umd/dash.all.min.js',
  'shaka dash': 'shaka-player/dist/shaka-player.dash-es2021.js', 'shaka hls': 'shaka-player/dist/shaka-player.hls-es2021.js',
  'shaka all': 'shaka-player/dist/shaka-player.compiled-es2021.js',
};

/** The same measure for the players that are installed for comparison. */
export async function peerSizes() {
  const rows = Object.entries(peerFiles).map(([name, file]) => ({ name, file: path.join(root, 'node_modules', file) })).filter(({ file }) => existsSync(file));
  return Promise.all(rows.map(async ({ name, file }) => {
    const version = JSON.parse(readFileSync(path.join(root, 'node_modules', path.relative(path.join(root, 'node_modules'), file).split(path.sep)[0], 'package.json'), 'utf8')).version;
    return { name: `${name} ${version}`, total: await brotli(file) };
  }));
}

const kb = (bytes) => (bytes / 1000).toFixed(1).padStart(8);

export function sizeTable(rows) {
  return ['build       wasm      js   total  budget   (kB, brotli -11)', ...rows.map(({ name, wasm, js, total, budget, over }) =>
    `${name.padEnd(7)}${kb(wasm)}${kb(js)}${kb(total)}${kb(budget)}${over ? '   OVER BUDGET' : ''}`)].join('\n');
}

function checkBudgets(rows) {
  const over = rows.filter((row) => row.over).map(({ name, total, budget }) => `${name} is ${((total - budget) / 1000).toFixed(1)} kB over`);
  if (over.length) throw new Told(`Size budget (wasm-pack.toml): ${over.join(', ')}.`);
}

/** Brings dist/ up to date (with `only`: one build of wasm-pack.toml); quick when nothing changed. Resolves to the sizes. */
export async function build({ debug = false, gate = true, only } = {}) {
  await ensure(['build']);
  const config = await readConfig();
  if (only) config.builds = config.builds.filter(({ name }) => name === only);
  if (!config.builds.length) throw new Told(`wasm-pack.toml has no [build.${only}]`);
  if (!existsSync(path.join(root, 'www/lib/index.ts'))) throw new Told('www/lib/index.ts is missing');
  await Promise.all(config.builds.map((one) => buildWasm(config, one, debug)));

  const hash = fingerprint(['www/lib', 'www/tsconfig.json', 'www/build.mjs', 'package-lock.json', 'wasm-pack.toml',
    ...config.builds.map((one) => `.cache/stamps/wasm-${one.name}`)], debug, only);
  const done = stamp('dist', hash, [...entries.flatMap((name) => [`dist/${name}.js`, `dist/${name}.d.ts`]), '.cache/sizes.json',
    ...config.builds.map(({ name }) => `dist/${name}/${wasmFile}`)]);
  if (!done.fresh) {
    done.invalidate();
    await step('dist', async () => {
      mkdirSync(dist, { recursive: true });
      for (const name of readdirSync(dist)) rmSync(path.join(dist, name), { recursive: true });
      await Promise.all([bundle(config.builds, debug), types()]);
      writeFileSync(path.join(cache, 'sizes.json'), JSON.stringify(await sizes(config.builds)));
    });
    done.made();
  }
  const rows = JSON.parse(readFileSync(path.join(cache, 'sizes.json'), 'utf8'));
  if (gate && !debug) checkBudgets(rows);
  return rows;
}

if (isMain(import.meta)) {
  await main(async () => {
    const flags = process.argv.slice(2);
    const only = flags.find((flag) => flag.startsWith('--only='))?.slice('--only='.length);
    const unknown = flags.filter((flag) => !['--size', '--debug', `--only=${only}`].includes(flag));
    if (unknown.length) {
      throw new Told(`Unknown option ${unknown[0]}. Options: --size (with other players), --debug (unoptimised, source maps), --only=BUILD.`);
    }
    const rows = await build({ debug: flags.includes('--debug'), only, gate: false });
    console.log(sizeTable(rows));
    if (flags.includes('--size')) {
      for (const { name, total } of (await peerSizes()).sort((a, b) => a.total - b.total)) console.log(`${name.padEnd(28)}${kb(total)}`);
    }
    if (!flags.includes('--debug')) checkBudgets(rows);
  });
}
