/** Page script, part 1: what is known of the troupe, made from a snapshot and messages. */
export const modelScript = `
const $ = (id) => document.getElementById(id);
const el = (tag, props, ...children) => {
  const node = document.createElement(tag);
  Object.assign(node, props);
  node.append(...children);
  return node;
};
const svg = (tag, attributes, ...children) => {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
  node.append(...children);
  return node;
};
const setText = (node, text) => { if (node.firstChild === null || node.firstChild.nodeValue !== text) node.textContent = text; };

const palette = {
  idle: '--s-idle', 'awaiting.calling': '--s-calling', 'awaiting.backing-off': '--s-backing', 'awaiting.failing': '--s-failing',
  'tool-loop.running': '--s-running', 'tool-loop.approving': '--s-approving', compressing: '--s-compress', dead: '--s-dead',
  awaiting: '--s-calling', 'tool-loop': '--s-running',
};
const colourName = (state) => palette[state] || palette[state.split('.')[0]] || '--s-other';
const leaf = (state) => state.slice(state.lastIndexOf('.') + 1);
const supervisorName = '@supervisor';
const shownName = (name) => (name === supervisorName ? 'supervisor' : name);

const number = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const shortCount = (n) => n === undefined ? '–' : n < 1000 ? number.format(n) : n < 1e6 ? number.format(n / 1e3) + 'k' : number.format(n / 1e6) + 'M';
const shortUsd = (n) => n === undefined ? '–' : n === 0 ? '$0' : n < 0.01 ? '$' + n.toFixed(4) : n < 100 ? '$' + n.toFixed(2) : '$' + shortCount(n);
const shortMs = (ms) => ms === undefined ? '–' : ms < 1000 ? Math.round(ms) + ' ms' : ms < 60000 ? number.format(ms / 1000) + ' s' : Math.floor(ms / 60000) + ' min ' + Math.round(ms % 60000 / 1000) + ' s';
const clockTime = (at) => new Date(at).toLocaleTimeString('en-GB') + '.' + String(Math.floor(at % 1000)).padStart(3, '0');
const plus = (a, b) => a === undefined ? b : b === undefined ? a : a + b;
const minus = (a, b) => a === undefined ? undefined : a - (b || 0);

const caps = { segments: 4000, marks: 600, sequence: 300 };
/** Keeps a list from growing: drops a quarter at once, so that it is seldom moved. */
const push = (list, item, cap) => { list.push(item); if (list.length > cap) list.splice(0, cap >> 2); };

function emptyModel() {
  return {
    agents: new Map(), machines: {}, content: 'none', total: {}, at: 0, firstAt: 0, seq: 0, events: 0, gaps: 0,
    asks: { open: 0, replied: 0, failed: 0 }, breakers: new Map(),
  };
}
let model = emptyModel();

function newAgent(name, view, at) {
  const state = view.state || 'idle';
  return {
    name, machine: view.machine, state, since: at, backend: view.backend || '', model: view.model || '', group: view.group || '',
    createdAt: view.createdAt || at, depth: view.depth || 0, messages: view.messages || 0, tokens: view.tokens || 0,
    windowTokens: view.windowTokens, total: view.total || {}, askId: view.askId, alive: true, order: model.agents.size,
    segments: [{ at, state, event: '' }], marks: [], sequence: [], edge: undefined, lastEvent: '',
    asks: 0, replied: 0, failed: 0, calls: 0, retries: 0, fallbacks: 0, restarts: view.restarts || 0, troubles: 0,
    approvals: new Map(), open: new Map(), version: 0,
  };
}

function ensure(name, at) {
  let agent = model.agents.get(name);
  if (agent === undefined) {
    const isSupervisor = name === supervisorName;
    const machine = Object.keys(model.machines).find((id) => id.startsWith(isSupervisor ? 'supervisor' : 'agent'));
    agent = newAgent(name, { machine, state: isSupervisor ? 'open' : 'idle' }, at);
    model.agents.set(name, agent);
  }
  return agent;
}

function enter(agent, state, at, event) {
  if (agent.state === state && event === '') return;
  agent.state = state;
  agent.since = at;
  agent.lastEvent = event;
  push(agent.segments, { at, state, event }, caps.segments);
}

function takeSnapshot(snapshot) {
  const { at } = snapshot;
  model.machines = snapshot.machines;
  model.content = snapshot.content;
  model.total = snapshot.total;
  model.at = Math.max(model.at, at);
  model.firstAt = model.firstAt || at;
  model.seq = snapshot.seq;
  const names = new Set([supervisorName]);
  ensure(supervisorName, at);
  for (const view of snapshot.agents) {
    names.add(view.name);
    const known = model.agents.get(view.name);
    if (known === undefined) { model.agents.set(view.name, newAgent(view.name, view, at)); continue; }
    enter(known, view.state, at, '');
    known.alive = true;
    Object.assign(known, { backend: view.backend, depth: view.depth, messages: view.messages, tokens: view.tokens, total: view.total, askId: view.askId });
    if (view.model) known.model = view.model;
    if (view.windowTokens !== undefined) known.windowTokens = view.windowTokens;
    known.open.clear();
  }
  for (const agent of model.agents.values()) if (!names.has(agent.name) && agent.alive) { agent.alive = false; enter(agent, 'dead', at, ''); }
}

const mark = (agent, at, sign, text) => push(agent.marks, { at, sign, text }, caps.marks);
const note = (agent, message, item) => push(agent.sequence, { at: message.at, raw: [message], ...item }, caps.sequence);
/** A call or tool in progress, so that its end is drawn with its begin. */
function begin(agent, key, message, item) {
  note(agent, message, item);
  agent.open.set(key, agent.sequence[agent.sequence.length - 1]);
}
function end(agent, key, message) {
  const begun = agent.open.get(key);
  agent.open.delete(key);
  if (begun !== undefined) begun.endedAt = message.at;
}

const why = ({ error }) => error ? ' · ' + error.class : '';
const takers = {
  spawned(agent, message) {
    const { view } = message;
    const fresh = newAgent(agent.name, view, message.at);
    if (agent.segments.length > 1) { fresh.segments = agent.segments; enter(fresh, view.state, message.at, 'spawned'); }
    Object.assign(agent, fresh, { order: agent.order, sequence: agent.sequence, marks: agent.marks });
    note(agent, message, { kind: 'note', sign: 'born', label: 'spawned' });
  },
  dead(agent, message) {
    agent.alive = false;
    agent.open.clear();
    agent.approvals.clear();
    enter(agent, 'dead', message.at, 'dead');
    note(agent, message, { kind: 'note', sign: 'bad', label: 'dead' });
  },
  state(agent, message) {
    enter(agent, message.to, message.at, message.event);
    agent.edge = message;
    if (!message.to.startsWith('tool-loop.approving')) agent.approvals.clear();
    if (message.to === 'idle') agent.askId = undefined;
  },
  ask(agent, message) {
    if (message.phase === 'accepted') {
      agent.asks += 1;
      agent.askId = agent.askId || message.askId;
      model.asks.open += 1;
      note(agent, message, { kind: 'arrow', from: 'caller', to: 'agent', label: message.askId, more: message.by ? 'from ' + message.by : '' });
      return;
    }
    const good = message.outcome === 'replied';
    agent[message.outcome] += 1;
    model.asks[message.outcome] += 1;
    model.asks.open = Math.max(0, model.asks.open - 1);
    if (!good) { agent.troubles += 1; mark(agent, message.at, 'bad', 'ask failed' + (message.error ? ': ' + message.error.code : '')); }
    note(agent, message, { kind: 'arrow', from: 'agent', to: 'caller', back: true, tone: good ? 'good' : 'bad', label: (good ? 'reply' : 'failed') + why(message), more: message.askId + ' · ' + shortMs(message.durationMs) });
  },
  call(agent, message) {
    const key = 'call';
    Object.assign(agent, { backend: message.backend, model: message.model || agent.model });
    if (message.phase === 'begin') {
      agent.askId = message.askId;
      begin(agent, key, message, { kind: 'arrow', from: 'agent', to: 'backend:' + message.backend, label: message.model || message.backend, more: 'step ' + message.step });
      return;
    }
    end(agent, key, message);
    agent.calls += 1;
    const { total } = message;
    for (const figure of ['inputTokens', 'outputTokens', 'costUsd']) {
      const grown = minus(total[figure], agent.total[figure]);
      if (grown > 0) model.total = { ...model.total, [figure]: plus(model.total[figure], grown) };
    }
    agent.total = total;
    const tokens = message.inputTokens === undefined && message.outputTokens === undefined ? '' : shortCount(message.inputTokens) + ' → ' + shortCount(message.outputTokens) + ' tokens';
    const label = message.error ? message.error.class : tokens || 'answer';
    const more = [shortMs(message.durationMs), message.costUsd ? shortUsd(message.costUsd) : ''].filter(Boolean).join(' · ');
    note(agent, message, { kind: 'arrow', from: 'backend:' + message.backend, to: 'agent', back: true, tone: message.error ? 'bad' : '', label, more });
  },
  tool(agent, message) {
    const key = 'tool ' + message.callId;
    if (message.phase === 'begin') { begin(agent, key, message, { kind: 'arrow', from: 'agent', to: 'tools', label: message.tool, more: message.callId }); return; }
    end(agent, key, message);
    note(agent, message, { kind: 'arrow', from: 'tools', to: 'agent', back: true, tone: message.isError ? 'bad' : '', label: message.isError ? 'failed' : 'result', more: message.tool + ' · ' + shortMs(message.durationMs) });
  },
  approval(agent, message) {
    agent.approvals.set(message.callId, message);
    mark(agent, message.at, 'hand', message.tool + ' waits for a decision');
    note(agent, message, { kind: 'note', sign: 'hand', label: message.tool + ' waits for a decision' });
  },
  mail(agent, message) { agent.depth = message.depth; },
  context(agent, message) {
    agent.tokens = message.tokens;
    agent.messages = message.messages;
    if (message.windowTokens !== undefined) agent.windowTokens = message.windowTokens;
  },
  retry(agent, message) {
    agent.retries += 1;
    mark(agent, message.at, 'retry', 'retry of ' + message.backend + ' in ' + shortMs(message.retryInMs) + why(message));
    note(agent, message, { kind: 'note', sign: 'retry', label: 'retry in ' + shortMs(message.retryInMs) });
  },
  fallback(agent, message) {
    agent.fallbacks += 1;
    agent.troubles += 1;
    agent.backend = message.to;
    mark(agent, message.at, 'fallback', 'fallback: ' + message.from + ' → ' + message.to + why(message));
    note(agent, message, { kind: 'note', sign: 'fallback', label: 'fallback: ' + message.from + ' → ' + message.to });
  },
  restart(agent, message) {
    agent.restarts = message.restarts;
    agent.alive = true;
    agent.troubles += 1;
    mark(agent, message.at, 'restart', 'restart ' + message.restarts + (message.error ? ': ' + message.error.code : ''));
    note(agent, message, { kind: 'note', sign: 'bad', label: 'restart ' + message.restarts });
  },
  compressed(agent, message) {
    const label = 'compressed ' + shortCount(message.tokensBefore) + ' → ' + shortCount(message.tokensAfter) + ' · ' + message.by;
    note(agent, message, { kind: 'note', sign: message.error ? 'retry' : 'compress', label });
  },
  budget(agent, message) {
    const label = message.budget + ': ' + Math.round(message.share * 100) + ' % of ' + shortUsd(message.limitUsd) + ' spent';
    mark(agent, message.at, 'warn', label);
    note(agent, message, { kind: 'note', sign: 'retry', label });
  },
  breaker(agent, message) {
    model.breakers.set(message.backend, message.state);
    mark(agent, message.at, message.state === 'closed' ? 'good' : 'bad', 'breaker of ' + message.backend + ': ' + message.state + (message.class ? ' · ' + message.class : ''));
    note(agent, message, { kind: 'note', sign: message.state === 'closed' ? 'born' : 'bad', label: 'breaker of ' + message.backend + ': ' + message.state });
  },
  'dead-letter'(agent, message) {
    agent.troubles += 1;
    mark(agent, message.at, 'bad', 'dead letter ' + message.askId);
    note(agent, message, { kind: 'note', sign: 'bad', label: 'dead letter ' + message.askId });
  },
  warning(agent, message) {
    mark(agent, message.at, 'warn', message.message || message.code);
    note(agent, message, { kind: 'note', sign: 'retry', label: message.code });
  },
};

function take(message) {
  if (message.seq <= model.seq) return;
  model.seq = message.seq;
  model.events += 1;
  model.at = Math.max(model.at, message.at);
  model.firstAt = model.firstAt || message.at;
  const agent = ensure(message.agent, message.at);
  const taker = takers[message.kind];
  if (taker !== undefined) taker(agent, message);
  agent.version += 1;
}

const ui = {
  selected: undefined, query: '', states: new Set(), troubled: false, sort: 'order', descending: false, spanMs: 60000, paused: false, follow: true,
  chosen: undefined, cursor: undefined,
};
`;
