/** What a person may do to agents from the page: cancel an ask, kill an agent, decide on a tool call. */
import { TroupeError } from '../core/errors.ts';
import { checkOptions, type Rule, rules } from '../core/options.ts';
import type { Agent } from '../runtime/agent.ts';
import type { Troupe } from '../runtime/troupe.ts';

/** Does what the body of a request says. Throws `TROUPE_ERR_OPTION_INVALID` when it says nothing that can be done. */
export function act(troupe: Troupe, body: unknown): void {
  const action = (typeof body === 'object' && body !== null ? body : {}) as Record<string, string>;
  checkOptions('action', action, actionRules);
  const { type = '', agent: name = '', askId = '', callId = '', reason } = action;
  const agent = troupe.agent(name);
  const run = Object.hasOwn(actions, type) ? actions[type] : undefined;
  if (run === undefined) throw invalid(`\`type\` must be one of ${Object.keys(actions).join(', ')}, not "${type}"`);
  if (agent === undefined) throw invalid(`there is no living agent "${name}"`);
  run(agent, { askId, callId, reason });
}

interface Target {
  readonly askId: string;
  readonly callId: string;
  readonly reason: string | undefined;
}

const actions: Readonly<Record<string, (agent: Agent, target: Target) => void>> = {
  cancel: ({ ref }, { askId }) => ref.send({ type: 'cancel', askId }),
  kill: (agent, { reason = 'killed from the inspector' }) => void agent.kill(reason).catch(() => {}),
  allow: (agent, { callId }) => agent.approve(callId, 'allow'),
  deny: (agent, { callId, reason = 'somebody said no' }) => agent.approve(callId, { deny: reason }),
};

function invalid(message: string): TroupeError {
  return new TroupeError('TROUPE_ERR_OPTION_INVALID', `action: ${message}.`);
}

const actionRules: Readonly<Record<string, Rule>> = {
  type: rules.text,
  agent: rules.text,
  askId: rules.text,
  callId: rules.text,
  reason: rules.text,
};
