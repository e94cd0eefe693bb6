// The dedicated worker: an engine at the other end of postMessage.
import { connect } from './engine.ts';
import type { ToEngine } from './types.ts';

const scope = self as unknown as DedicatedWorkerGlobalScope;
const handle = connect((message, transfer) => scope.postMessage(message, transfer));
scope.onmessage = (event: MessageEvent<ToEngine>) => handle(event.data);
