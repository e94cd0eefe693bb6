// npm run fuzz -- [TARGET…] [--runs N] [--seconds S]: each parser with N mutated inputs, made from the fixtures by libFuzzer. Without
// names: all of them. What crashes is kept and told; it becomes a fixture.
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { tool } from './setup.mjs';
import { Told, isMain, main, root, run, step } from './steps.mjs';

const triple = 'x86_64-unknown-linux-gnu';
const home = path.join(root, 'tests/fuzz');
const made = path.join(process.env.CARGO_TARGET_DIR ?? path.join(root, 'target'), 'fuzz');
/** Larger inputs cost time and reach nothing that smaller ones do not. */
const LARGEST = 32 << 10;

/** The names in the table of targets. */
export function fuzzTargets() {
  const source = readFileSync(path.join(home, 'src/main.rs'), 'utf8');
  return [...source.matchAll(/^ {4}\("([\w-]+)", /gm)].map(([, name]) => name);
}

/** What cargo-fuzz does with a nightly toolchain: coverage counters from LLVM, and AddressSanitizer, which a stable one has too behind this switch. */
async function build() {
  const flags = ['-Cpasses=sancov-module', '-Cllvm-args=-sanitizer-coverage-level=4',
    '-Cllvm-args=-sanitizer-coverage-inline-8bit-counters', '-Cllvm-args=-sanitizer-coverage-pc-table',
    '-Cllvm-args=-sanitizer-coverage-trace-compares', '-Zsanitizer=address', '-Ccodegen-units=1', '--cfg=fuzzing'];
  await run(tool('cargo'), ['build', '--release', '--quiet', '--target', triple, '--target-dir', made], {
    cwd: home, env: { RUSTFLAGS: flags.join(' '), RUSTC_BOOTSTRAP: '1' } });
  return path.join(made, triple, 'release/fuzz');
}

/** Inputs to begin with: the fixtures of the folder, and what earlier runs found. */
function corpus(target) {
  const dir = path.join(made, 'corpus', target);
  mkdirSync(dir, { recursive: true });
  const folders = [target.split('-')[0], ...(target === 'flac' ? ['ogg', 'packed'] : target.startsWith('dash') ? ['dash/live'] : [])].map((name) => path.join(root, 'tests/fixtures', name));
  for (const folder of folders.filter(existsSync)) {
    for (const name of readdirSync(folder)) {
      const file = path.join(folder, name);
      if (!/\.(dump|md|json)$/.test(name) && statSync(file).isFile()) copyFileSync(file, path.join(dir, `seed-${name}`));
    }
  }
  return dir;
}

/** Runs one target; gives how many inputs it took. */
async function fuzz(binary, target, { runs, limit }, note) {
  const crashes = path.join(made, 'crashes', target);
  mkdirSync(crashes, { recursive: true });
  let done = 0;
  const args = [corpus(target), `-runs=${runs}`, `-max_total_time=${limit}`, `-max_len=${LARGEST}`, '-len_control=0', '-seed=1',
    // Seconds for one input, megabytes in all and for one allocation.
    '-timeout=10', '-rss_limit_mb=1024', '-malloc_limit_mb=128', `-artifact_prefix=${crashes}${path.sep}`];
  try {
    await run(binary, args, { env: { MILLRACE_FUZZ: target, ASAN_OPTIONS: 'detect_leaks=0' }, onLine: (line) => {
      const count = /^#(\d+)\t|^Done (\d+) runs/.exec(line);
      if (count) note(`${done = Number(count[1] ?? count[2])} inputs`);
    } });
  } catch (error) {
    throw new Told(`${target} failed after ${done} inputs; the input is in ${crashes}\n${error.message}`);
  }
  return done;
}

/** Builds and runs targets; gives how many passed and failed. */
export async function fuzzAll(names = fuzzTargets(), { runs = 20_000, limit = 300 } = {}) {
  const binary = await step('fuzz: build', build);
  const count = { passed: 0, failed: 0 };
  for (const name of names) {
    try {
      await step(`fuzz: ${name}`, (note) => fuzz(binary, name, { runs, limit }, note));
      count.passed++;
    } catch (error) {
      count.failed++;
      process.stderr.write(`${error.message}\n`);
    }
  }
  return count;
}

if (isMain(import.meta)) {
  await main(async () => {
    const options = { runs: { type: 'string', default: '20000' }, seconds: { type: 'string', default: '300' } };
    const { values, positionals } = parseArgs({ allowPositionals: true, options });
    const known = fuzzTargets();
    const unknown = positionals.filter((name) => !known.includes(name));
    if (unknown.length) throw new Told(`no such target: ${unknown.join(', ')}; there are ${known.join(', ')}`);
    const names = positionals.length ? positionals : known;
    const { failed } = await fuzzAll(names, { runs: Number(values.runs), limit: Number(values.seconds) });
    return failed ? 1 : 0;
  });
}
