// Where an engine runs: in a worker where MediaSource can be made there, on the page otherwise, and on the page too where the
// worker cannot start (another origin, a CSP without worker-src).
import { failure, type PlayerError } from './errors.ts';
import type { BuildName, FromEngine, ToEngine } from './types.ts';

/** @internal The files of one build. */
export interface Build {
  name: BuildName;
  wasm: URL;
  worker(): Worker;
  engine(): Promise<{ connect(send: (message: FromEngine) => void): (message: ToEngine) => void }>;
}

const modules = new Map<string, Promise<WebAssembly.Module>>();

/** Compiled once per page and handed to every worker. Starts while the worker's script is still on its way. */
function compile({ href }: URL): Promise<WebAssembly.Module> {
  let module = modules.get(href);
  if (!module) {
    module = (async () => {
      const response = await fetch(href);
      if (!response.ok) throw new Error(`HTTP status ${response.status}`);
      // Streaming needs the right Content-Type, which some servers do not send.
      return response.headers.get('content-type')?.startsWith('application/wasm')
        ? WebAssembly.compileStreaming(response) : WebAssembly.compile(await response.arrayBuffer());
    })();
    modules.set(href, module);
    module.catch(() => modules.delete(href));
  }
  return module;
}

const workable = () => typeof Worker === 'function' && typeof MediaSource === 'function'
  && (MediaSource as { canConstructInDedicatedWorker?: boolean }).canConstructInDedicatedWorker === true;

/** @internal One engine, wherever it runs. */
export class Host {
  readonly build: Build;
  inWorker = false;
  /** Whether messages reach a running engine at once. */
  ready = false;
  #worker: Worker | undefined;
  #engine: ((message: ToEngine) => void) | undefined;
  /** Sent before the engine was ready, kept for the case that it has to start again on the page. */
  #early: ToEngine[] = [];
  #closed = false;
  readonly #told: (message: FromEngine) => void;
  readonly #failed: (error: PlayerError) => void;

  constructor(build: Build, config: object, worker: boolean, told: (message: FromEngine) => void, failed: (error: PlayerError) => void) {
    this.build = build;
    this.#told = told;
    this.#failed = failed;
    const module = compile(build.wasm);
    if (worker && workable()) this.#startWorker(module, config);
    else this.#startPage(module, config);
  }

  post(message: ToEngine): void {
    if (this.#closed) return;
    if (!this.ready) this.#early.push(message);
    this.#engine?.(message);
  }

  close(): void {
    this.#engine?.({ type: 'destroy' });
    this.#closed = true;
    this.#worker?.terminate();
    this.#engine = undefined;
    this.#early = [];
  }

  #startWorker(module: Promise<WebAssembly.Module>, config: object): void {
    let worker: Worker;
    try {
      worker = this.build.worker();
    } catch {
      return this.#startPage(module, config);
    }
    this.#worker = worker;
    this.inWorker = true;
    worker.onmessage = ({ data }: MessageEvent<FromEngine>) => this.#tell(data);
    worker.onerror = (event) => {
      event.preventDefault();
      if (this.#closed) return;
      if (this.ready) return this.#fail(failure('INTERNAL', event.message || 'The worker failed.'));
      worker.terminate();
      this.#worker = this.#engine = undefined;
      this.inWorker = false;
      this.#startPage(module, config);
    };
    this.#begin(module, config, (message) => worker.postMessage(message), () => this.#worker === worker);
  }

  #startPage(module: Promise<WebAssembly.Module>, config: object): void {
    this.build.engine().then(
      ({ connect }) => !this.#closed && this.#begin(module, config, connect((message) => this.#tell(message)), () => true),
      (cause: unknown) => this.#fail(failure('ENGINE_LOAD', "The player's engine could not be loaded.", undefined, cause)),
    );
  }

  #begin(module: Promise<WebAssembly.Module>, config: object, engine: (message: ToEngine) => void, current: () => boolean): void {
    module.then((compiled) => {
      if (this.#closed || !current()) return;
      engine({ type: 'init', module: compiled, config });
      this.#engine = engine;
      this.#early.forEach(engine);
    }, (cause: unknown) => {
      if (current()) this.#fail(failure('ENGINE_LOAD', "The player's WebAssembly module could not be loaded.", this.build.wasm.href, cause));
    });
  }

  #tell(message: FromEngine): void {
    if (this.#closed) return;
    if (message.type === 'ready') {
      this.ready = true;
      this.#early = [];
    } else if (message.type === 'failed') {
      this.#fail(failure('ENGINE_LOAD', message.message));
    } else {
      this.#told(message);
    }
  }

  #fail(error: PlayerError): void {
    if (this.#closed) return;
    this.close();
    this.#failed(error);
  }
}
