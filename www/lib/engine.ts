// The engine's end of the protocol; the same in a worker and on the page. Bundled once per build, with that build's WASM glue.
import { Engine, instantiate, onTrap } from 'build:wasm';
import { Recorder } from './recorder.ts';
import type { Fetched, FromEngine, ToEngine } from './types.ts';

/** Whether this is the build that keeps a log of the session; the others have nothing of it. */
declare const LOG: boolean;
interface Recording {
  record(callback: (line: unknown[]) => void, media: boolean, config: object): void;
}

/** One instance of the module serves all engines of a thread. */
let instance: Promise<unknown> | undefined;

/** How the engines of this thread report a defect: one that traps leaves the memory that they share in an unknown state. */
const defects = new Set<(error: unknown) => void>();
onTrap((error) => defects.forEach((tell) => tell(error)));

/** Statuses whose responses must be made without a body. */
const bodiless = [204, 205, 304];

function response({ status, url, type, body }: Fetched): Response {
  const made = new Response(bodiless.includes(status) ? null : body, { status, headers: { ...(type && { 'content-type': type }), 'content-length': String(body.byteLength) } });
  // A made response has an empty `url`; redirects must stay visible.
  return Object.defineProperty(made, 'url', { value: url });
}

/** Makes an engine that tells by `send`; the result takes the messages for it. */
export function connect(send: (message: FromEngine, transfer: Transferable[]) => void): (message: ToEngine) => void {
  const early: ToEngine[] = [];
  let engine: Engine | undefined;
  let dead = false;
  let load = 0;
  let url = '';
  let recorder: Recorder | undefined;
  let prefetched: ((response: Response | undefined | Promise<Response>) => void) | undefined;

  const tell = (message: FromEngine & { load: number }) => {
    if (dead) return;
    message.load = load;
    const handle = message.type === 'source' && message.handle;
    // On the page the handle is the MediaSource itself, and nothing is transferred.
    telling = true;
    try { send(message, handle && typeof document === 'undefined' ? [handle as Transferable] : []); } finally { telling = false; }
    if (message.type === 'event' && (message.detail as { code?: string }).code === 'INTERNAL') dead = true;
  };

  const defect = (error: unknown) => {
    // The worker will be gone when somebody asks for it.
    if (LOG && recorder && !dead) send({ type: 'log', text: recorder.text() }, []);
    // Where it was, which is all that is left of names in the module.
    const places = String((error as Error | null)?.stack).match(/wasm-function\[\d+\]/g) ?? [];
    tell({ type: 'event', load, name: 'error', detail: { fatal: true, code: 'INTERNAL', message: [error, ...places.slice(0, 6)].join(' < ') } });
  };

  /** What was said while it was being told something: on the page that is at once, in the midst of what the core does. */
  const later: ToEngine[] = [];
  let telling = false;

  const handle = (message: ToEngine) => {
    if (LOG && message.type === 'record') {
      recorder = new Recorder(message.options);
      return;
    }
    if (LOG && message.type === 'log') return send({ type: 'log', text: recorder?.text() ?? '' }, []);
    if (dead) return;
    if (message.type === 'init') {
      defects.add(defect);
      instance ??= instantiate(message.module);
      instance.then(() => {
        if (dead) return;
        engine = new Engine(tell as never, message.config);
        if (LOG && recorder) (engine as Engine & Recording).record(recorder.add, recorder.media, message.config);
        send({ type: 'ready' }, []);
        early.splice(0).forEach(handle);
      }).catch((error: unknown) => {
        instance = undefined;
        send({ type: 'failed', message: error instanceof Error ? error.message : String((error as { message?: unknown } | null)?.message ?? error) }, []);
      });
    } else if (message.type === 'destroy') {
      dead = true;
      defects.delete(defect);
      engine?.destroy();
      // Perhaps we are inside one of its callbacks: freeing has to wait until it has returned. After a panic it never does.
      queueMicrotask(() => { try { engine?.free(); } catch { /* stays as the panic left it */ } });
    } else if (!engine) {
      early.push(message);
    } else {
      try {
        switch (message.type) {
          case 'load': {
            ({ load, url } = message);
            let given: Promise<Response | undefined> | undefined;
            prefetched = undefined;
            if (message.prefetch) {
              given = new Promise((resolve) => { prefetched = resolve; });
              // Whoever uses it hears of a rejection.
              given.catch(() => {});
            }
            engine.load(url, message.kind, message.startTime, given);
            break;
          }
          case 'prefetched':
            if (message.load !== load) break;
            prefetched?.(message.response ? response(message.response)
              : message.error === undefined ? undefined : Promise.reject(new TypeError(message.error)));
            break;
          case 'state': engine.media_state(...message.state); break;
          case 'elementerror': engine.element_error(message.code, message.message); break;
          case 'quality': engine.select_quality(message.id, message.keep); break;
          case 'audio': engine.select_audio(message.id); break;
          case 'golive': engine.go_live(); break;
          case 'date': engine.seek_to_date(message.date); break;
          case 'configure': engine.configure(message.config); break;
          case 'stop': engine.stop(); break;
        }
      } catch (error) {
        defect(error);
      }
    }
  };
  return (message) => {
    if (message.type === 'destroy' || !(telling || later.length)) return handle(message);
    if (later.push(message) === 1) queueMicrotask(() => { for (let next; (next = later.shift());) handle(next); });
  };
}
