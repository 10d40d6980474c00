/** Page script, part 5: what is said of the selected agent and of all of them, and what may be done to them. */
export const sideScript = String.raw`
const token = new URLSearchParams(location.search).get('token') || '';
const mayAct = document.body.dataset.actions === 'true';

function tile(label, withBar) {
  const value = el('b'), bar = el('i'), barBox = el('div', { className: 'bar' }, bar);
  const name = el('span', { textContent: label });
  const box = el('div', { className: 'tile' }, name, value);
  if (withBar) box.append(barBox);
  $('tiles').append(box);
  return { name, value, bar, barBox };
}
const tiles = {};
function setUpSide() {
  tiles.context = tile('Context', true);
  tiles.tokens = tile('Tokens in → out');
  tiles.cost = tile('Cost');
  tiles.asks = tile('Ok · failed · wait');
  tiles.detours = tile('Retry · fallback · restart');
}

function drawSide(agent, now) {
  const known = agent !== undefined;
  setText($('who'), known ? shownName(agent.name) : 'No agent selected');
  const where = known ? [agent.backend, agent.model].filter(Boolean).join(' · ') : 'Choose one on the left.';
  setText($('sub'), known ? [where, agent.group && 'group ' + agent.group, agent.askId && 'in hand: ' + agent.askId].filter(Boolean).join('   |   ') || 'lets agents be born, restarted and buried' : where);
  const pill = $('pill');
  pill.hidden = !known;
  for (const id of ['tiles']) $(id).style.visibility = known ? 'visible' : 'hidden';
  if (!known) return;
  pill.style.setProperty('--c', 'var(' + colourName(agent.state) + ')');
  setText(pill.lastChild, leaf(agent.state) + ' · ' + shortMs(Math.max(0, now - agent.since)));
  const fill = fillOf(agent);
  setText(tiles.context.value, shortCount(agent.tokens) + (agent.windowTokens ? ' / ' + shortCount(agent.windowTokens) : ''));
  setText(tiles.context.name, 'Context · ' + agent.messages + ' msg');
  showFill(tiles.context.barBox, tiles.context.bar, fill);
  setText(tiles.tokens.value, shortCount(agent.total.inputTokens) + ' → ' + shortCount(agent.total.outputTokens));
  setText(tiles.cost.value, shortUsd(agent.total.costUsd));
  setText(tiles.asks.value, agent.replied + ' · ' + agent.failed + ' · ' + agent.depth);
  setText(tiles.detours.value, agent.retries + ' · ' + agent.fallbacks + ' · ' + agent.restarts);
  drawActs(agent);
}

/** Buttons are made anew only when what they would act on is another. */
let actsKey = '';
function drawActs(agent) {
  const live = mayAct && agent.alive && agent.name !== supervisorName && ui.cursor === undefined;
  const approvals = live ? [...agent.approvals.values()] : [];
  const key = live ? [agent.name, agent.askId, ...approvals.map(({ callId }) => callId)].join('\n') : '';
  if (key === actsKey) return;
  actsKey = key;
  const box = $('acts');
  box.replaceChildren();
  if (!live) return;
  const button = (label, className, body, question) => {
    const one = el('button', { textContent: label, className });
    one.addEventListener('click', () => { if (question === undefined || confirm(question)) void act({ agent: agent.name, ...body }); });
    box.append(one);
  };
  for (const { callId, tool } of approvals.slice(0, 2)) {
    button('Allow ' + tool, 'good', { type: 'allow', callId });
    button('Deny', 'bad', { type: 'deny', callId });
  }
  if (agent.askId) button('Cancel ask', '', { type: 'cancel', askId: agent.askId });
  button('Kill', 'bad', { type: 'kill' }, 'Kill "' + agent.name + '"? What it works on is rejected.');
}

async function act(action) {
  try {
    const response = await fetch('/actions', { method: 'POST', headers: { authorization: 'Bearer ' + token, 'content-type': 'application/json' }, body: JSON.stringify(action) });
    if (!response.ok) toast(await response.text());
  } catch { toast('The inspector cannot be reached.'); }
}

let toastTimer;
function toast(text) {
  $('toast').textContent = text;
  $('toast').hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { $('toast').hidden = true; }, 5000);
}

const figures = {};
function setUpFigures() {
  const add = (key, label, wide) => {
    const value = el('b');
    const box = el('div', { className: 'figure' + (wide ? ' wide' : '') }, value, el('span', { textContent: label }));
    $('figures').append(box);
    figures[key] = { value, box };
  };
  add('agents', 'agents');
  add('busy', 'busy');
  add('asks', 'asks done');
  add('failed', 'failed');
  add('rate', 'events/s', true);
  add('tokens', 'tokens in → out');
  add('cost', 'cost');
}

const rates = [];
function drawFigures() {
  const { total, asks } = model;
  let alive = 0, busy = 0;
  const states = new Map();
  for (const agent of model.agents.values()) {
    if (agent.name === supervisorName) continue;
    if (agent.alive) alive += 1;
    if (agent.alive && agent.state !== 'idle') busy += 1;
    states.set(agent.state, (states.get(agent.state) || 0) + 1);
  }
  const now = performance.now();
  rates.push([now, model.events]);
  while (rates.length > 2 && now - rates[0][0] > 2000) rates.shift();
  const [before, count] = rates[0];
  const perSecond = now > before ? (model.events - count) / (now - before) * 1000 : 0;
  setText(figures.agents.value, String(alive));
  setText(figures.busy.value, String(busy));
  setText(figures.asks.value, shortCount(asks.replied));
  setText(figures.failed.value, shortCount(asks.failed));
  figures.failed.box.classList.toggle('bad', asks.failed > 0);
  setText(figures.rate.value, ui.cursor === undefined ? shortCount(Math.max(0, Math.round(perSecond))) : '–');
  setText(figures.tokens.value, shortCount(total.inputTokens) + ' → ' + shortCount(total.outputTokens));
  setText(figures.cost.value, shortUsd(total.costUsd));
  drawChips(states);
}

const chips = new Map();
function chip(key, label, colour, onClick) {
  const count = el('b'), node = el('button', { className: 'chip' }, ...(colour ? [el('i')] : []), el('span', { textContent: label }), count);
  if (colour) node.firstChild.style.setProperty('--c', 'var(' + colour + ')');
  node.addEventListener('click', onClick);
  chips.set(key, { node, count });
  return node;
}
const chipOrder = ['idle', 'awaiting.calling', 'awaiting.backing-off', 'awaiting.failing', 'tool-loop.running', 'tool-loop.approving', 'compressing', 'dead'];
const alwaysShown = ['idle', 'awaiting.calling', 'tool-loop.running', 'trouble'];
function drawChips(states) {
  for (const state of [...chipOrder, ...states.keys()]) {
    if (chips.has(state)) continue;
    const toggle = () => { if (!ui.states.delete(state)) ui.states.add(state); };
    $('chips').insertBefore(chip(state, leaf(state), colourName(state), toggle), $('chips').querySelector('.gap'));
  }
  for (const [state, { node, count }] of chips) {
    const isTrouble = state === 'trouble';
    let number = states.get(state) || 0;
    if (isTrouble) { number = 0; for (const { troubles } of model.agents.values()) if (troubles > 0) number += 1; }
    setText(count, String(number));
    node.hidden = number === 0 && !ui.states.has(state) && !alwaysShown.includes(state);
    node.setAttribute('aria-pressed', isTrouble ? ui.troubled : ui.states.has(state));
  }
  const open = [...model.breakers].filter(([, state]) => state !== 'closed').map(([name, state]) => name + ' ' + state);
  setText($('chipnote'), open.length > 0 ? 'breakers: ' + open.join(', ') : model.gaps > 0 ? model.gaps + ' gaps: the browser was too slow' : '');
}
function setUpChips() {
  $('chips').append(el('span', { className: 'gap' }), el('span', { className: 'note', id: 'chipnote' }), chip('trouble', 'with trouble', '--bad', () => { ui.troubled = !ui.troubled; }));
}
`;
