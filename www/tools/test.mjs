// npm test: every check there is, phase by phase, and one summary. `npm test -- PHASE…` runs some of them.
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { run as runTests } from 'node:test';
import { build, sizeTable } from '../build.mjs';
import { engines } from './browsers.mjs';
import { makeSamples } from './samples.mjs';
import { ensure, tool } from './setup.mjs';
import { Told, main, root, run, seconds } from './steps.mjs';

const print = (text) => process.stderr.write(`${text}\n`);

/** No file takes as long, on a slow machine neither: every wait within has an end of its own. */
const FILE_TIMEOUT_MS = 20 * 60_000;

/** What failed, to be told once more at the end, where it is not buried under what passed. */
const failures = [];
const fail = (where, text) => {
  print(text);
  failures.push(`${where}:\n${text}`);
};

/** Runs a program whose success is one passed check. */
const check = (command, args, options) => async () => {
  await run(tool(command), args, options);
  return { passed: 1, failed: 0 };
};

/** Runs Rust tests and adds up their own counts; the names and outputs of failed ones are in the error. */
const rustTests = (command, args, env) => async () => {
  const count = { passed: 0, failed: 0 };
  const names = [];
  let crashed;
  try {
    await run(tool(command), args, { env, onLine: (line) => {
      const result = /^test result: .* (\d+) passed; (\d+) failed/.exec(line);
      if (result) { count.passed += Number(result[1]); count.failed += Number(result[2]); }
      if (/^test .*(FAILED|FAIL)$/.test(line)) names.push(line);
    } });
  } catch (error) { crashed = error; }
  if (crashed) {
    if (count.failed === 0) count.failed = 1;
    fail(command, [...names, crashed.message].join('\n'));
  } else if (count.passed === 0) {
    throw new Told(`${command} ${args.join(' ')} ran no tests`);
  }
  return count;
};

/** Runs test files of tests/browser one after another: two browsers at once would measure each other. */
async function browserTests(files, env = {}, only = []) {
  Object.assign(process.env, env);
  const count = { passed: 0, failed: 0, names: [] };
  const testNamePatterns = only.map((name) => `^${name.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')}$`);
  for await (const { type, data } of runTests({ files, concurrency: false, timeout: FILE_TIMEOUT_MS, ...(only.length ? { testNamePatterns } : {}) })) {
    if (type !== 'test:pass' && type !== 'test:fail') {
      if (type === 'test:stderr') process.stderr.write(data.message);
      continue;
    }
    // A suite, or a whole file, is not a test; but one that fails by itself (a hook, an import) is a failure.
    const group = data.details.type === 'suite' || files.includes(data.name);
    const ownFailure = type === 'test:fail' && data.details.error?.failureType !== 'subtestsFailed';
    // What is left out by its name passes as skipped.
    if ((group && !ownFailure) || (only.length && data.skip !== undefined)) continue;
    if (type === 'test:pass') count.passed++;
    else {
      count.failed++;
      if (!group) count.names.push(data.name);
      const cause = data.details.error?.cause;
      const told = cause?.stack ?? cause?.message ?? (typeof cause === 'string' ? cause : data.details.error?.message);
      fail([path.basename(data.file ?? ''), env.MILLRACE_BROWSER].filter(Boolean).join(' in '), `  ✗ ${data.name}  ${seconds(data.details.duration_ms)}\n${String(told).replace(/^/gm, '      ')}`);
    }
    if (type === 'test:pass') print(`  ✓ ${data.name}  ${seconds(data.details.duration_ms)}`);
  }
  return count;
}

const browserDir = path.join(root, 'tests/browser');
const testFiles = (once) => readdirSync(browserDir).filter((name) => name.endsWith('.test.mjs') && name.endsWith('.once.test.mjs') === once).sort()
  .map((name) => path.join(browserDir, name));

/** A test that fails in WebKitGTK 2.50 is run again, twice at the most and aloud: its main thread at times locks up in GStreamer while it
 * seeks, and it pauses or loses pictures by itself (with bare MSE too). This can hide a fault of the player that shows now and then, there only. */
async function engineTests(engine) {
  const env = { MILLRACE_BROWSER: engine };
  if (engine !== 'webkit') return browserTests(testFiles(false), env);
  const sum = { passed: 0, failed: 0 };
  for (const file of testFiles(false)) {
    let count = await browserTests([file], env);
    for (let more = 2; count.failed && more > 0; more--) {
      print(`  once more: ${path.basename(file)}: ${count.names.join('; ')}`);
      const again = await browserTests([file], env, count.names);
      count = { passed: count.passed + again.passed, failed: again.failed, names: again.names };
    }
    sum.passed += count.passed;
    sum.failed += count.failed;
  }
  return sum;
}

const phases = [
  { name: 'setup', run: async () => { await ensure(['build', 'samples', ...engines, 'servers', 'shaka', 'lints']); return { passed: 1, failed: 0 }; }, vital: true },
  { name: 'format', run: check('cargo', ['fmt', '--check']) },
  { name: 'lint', run: check('cargo', ['clippy', '--all-targets', '--features', 'inspect,simulate,replay', '--', '-D', 'warnings']) },
  { name: 'lint-wasm', run: check('cargo', ['clippy', '--lib', '--target', 'wasm32-unknown-unknown', '--features', 'log', '--', '-D', 'warnings']) },
  { name: 'native', run: rustTests('cargo', ['test', '--no-fail-fast', '--features', 'simulate,replay']) },
  { name: 'build', run: async () => { await build({ gate: false }); return { passed: 1, failed: 0 }; } },
  { name: 'size', needs: ['build'], run: async () => {
    const rows = await build({ gate: false });
    print(sizeTable(rows));
    return { passed: rows.filter(({ over }) => !over).length, failed: rows.filter(({ over }) => over).length };
  } },
  { name: 'samples', run: async () => { await makeSamples(); return { passed: 1, failed: 0 }; } },
  ...(existsSync(path.join(root, 'tests/web.rs'))
    // They run for seconds: an optimised build would take minutes more.
    ? [{ name: 'wasm', run: rustTests('wasm-pack', ['test', '--headless', '--chrome'], { CARGO_PROFILE_TEST_OPT_LEVEL: '0' }) }] : []),
  // Files named *.once.test.mjs do not depend on the engine.
  { name: 'package', needs: ['build', 'samples'], run: () => browserTests(testFiles(true)) },
  ...engines.map((engine) => ({ name: engine, needs: ['build', 'samples'], run: () => engineTests(engine) })),
];

await main(async () => {
  const asked = process.argv.slice(2);
  const unknown = asked.find((name) => !phases.some((phase) => phase.name === name));
  if (unknown) throw new Told(`Unknown phase ${unknown}. Phases: ${phases.map(({ name }) => name).join(' ')}`);
  const chosen = phases.filter(({ name }) => asked.length === 0 || asked.includes(name) || phases.some((phase) => asked.includes(phase.name) && phase.needs?.includes(name)));
  const results = [];
  const broken = new Set();
  for (const phase of chosen) {
    const started = performance.now();
    print(`\n— ${phase.name}`);
    let result;
    const missing = phase.needs?.find((need) => broken.has(need));
    if (missing) result = { passed: 0, failed: 1, note: `not run: ${missing} failed` };
    else {
      try { result = await phase.run(); } catch (error) {
        fail(phase.name, error instanceof Told ? error.message : error.stack);
        result = { passed: 0, failed: 1 };
      }
    }
    if (result.failed) broken.add(phase.name);
    results.push({ name: phase.name, ms: performance.now() - started, ...result });
    print(`  ${result.passed} passed, ${result.failed} failed  ${seconds(results.at(-1).ms)}`);
    if (result.failed && phase.vital) break;
  }
  const sum = (field) => results.reduce((total, row) => total + row[field], 0);
  console.log('\nphase        passed  failed    time');
  for (const { name, passed, failed, ms, note } of results) {
    console.log(`${name.padEnd(12)}${String(passed).padStart(7)}${String(failed).padStart(8)}${seconds(ms).padStart(8)}${note ? `   ${note}` : ''}`);
  }
  console.log(`${''.padEnd(12)}${''.padStart(15)}${seconds(sum('ms')).padStart(8)}\n`);
  if (failures.length) console.log(`What failed, once or for good:\n${failures.join('\n')}\n`);
  console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
  return sum('failed') ? 1 : 0;
});
