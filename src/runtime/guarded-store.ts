/**
 * The troupe's side of its store: what a store throws or rejects with is told, and stops nothing.
 * A machine's action that threw would put its agent into error for good, and an ask must be answered though the disk is full.
 */
import type { Store } from '../../actors/store/store.ts';
import { isTroupeError, reasonOf, TroupeError } from '../core/errors.ts';

/** What the runtime writes, none of which throws or rejects, and what it reads, which may reject, as `close` may. */
export interface GuardedStore extends Omit<Store, 'barrier'> {
  readonly isDurable: boolean;
  /** Resolves when what was written is durable, with the error when it cannot be made so. */
  barrier(): Promise<TroupeError | undefined>;
  /** Tells of a failure that was seen elsewhere. */
  failed(cause: unknown): TroupeError;
}

/** A store whose failures go to `onFailure` instead of to the caller. */
export function guardStore(store: Store, onFailure: (error: TroupeError) => void): GuardedStore {
  const failed = (cause: unknown) => {
    const message = `The store could not make a write durable: ${reasonOf(cause)}`;
    const isStores = isTroupeError(cause) && cause.component === 'store';
    const error = isStores ? cause : new TroupeError('TROUPE_ERR_STORE_FAILED', message, { cause });
    onFailure(error);
    return error;
  };
  const guarded = (write: () => void) => {
    try {
      write();
    } catch (thrown) {
      failed(thrown);
    }
  };
  return {
    failed,
    isDurable: store.isDurable === true,
    putAgent: (agent) => guarded(() => store.putAgent(agent)),
    removeAgent: (name) => guarded(() => store.removeAgent(name)),
    appendGroup: (agent, group, askId) => guarded(() => store.appendGroup(agent, group, askId)),
    putView: (agent, view) => guarded(() => store.putView(agent, view)),
    putAsk: (ask) => guarded(() => store.putAsk(ask)),
    settleAsk: (agent, askId, outcome) => guarded(() => store.settleAsk(agent, askId, outcome)),
    putStep: (agent, askId, message) => guarded(() => store.putStep(agent, askId, message)),
    startTool: (agent, askId, callId) => guarded(() => store.startTool(agent, askId, callId)),
    beginCall: (call) => guarded(() => store.beginCall(call)),
    addUsage: (entry) => guarded(() => store.addUsage(entry)),
    barrier: async () => {
      try {
        await store.barrier();
        return undefined;
      } catch (thrown) {
        return failed(thrown);
      }
    },
    agents: async () => store.agents(),
    groups: async (agent) => store.groups(agent),
    view: async (agent) => store.view(agent),
    asks: async (agent) => store.asks(agent),
    openCalls: async () => store.openCalls(),
    ledger: async () => store.ledger(),
    close: async () => store.close(),
  };
}
