/** Page script, part 2: one lane per agent. Only the rows that are seen exist; time is drawn on one canvas. */
export const lanesScript = `
const rowHeight = 28;
const columns = [
  ['order', 'Agent', ''], ['state', 'State', ''], ['depth', 'Mail', 'right'], ['fill', 'Context', ''], ['tokens', 'Tokens', 'right'], ['cost', 'Cost', 'right'],
];
const sorters = {
  order: (a) => a.order, state: (a) => a.state, depth: (a) => a.depth, fill: (a) => fillOf(a) || 0,
  tokens: (a) => (a.total.inputTokens || 0) + (a.total.outputTokens || 0), cost: (a) => a.total.costUsd || 0,
};
const fillOf = (agent) => agent.windowTokens ? agent.tokens / agent.windowTokens : undefined;
const signColours = { bad: '--bad', retry: '--s-backing', fallback: '--s-failing', restart: '--bad', hand: '--s-approving', warn: '--warn', good: '--good' };

let colours = {};
function readColours() {
  const computed = getComputedStyle(document.documentElement);
  colours = {};
  for (const name of [...Object.values(palette), ...Object.values(signColours), '--s-other', '--line', '--faint', '--soft', '--text', '--panel', '--accent', '--row'])
    colours[name] = computed.getPropertyValue(name).trim();
}

function shownAgents() {
  const query = ui.query.toLowerCase();
  const list = [...model.agents.values()].filter((agent) =>
    (ui.states.size === 0 || ui.states.has(agent.state)) && (!ui.troubled || agent.troubles > 0) &&
    (query === '' || (shownName(agent.name) + ' ' + agent.group + ' ' + agent.backend + ' ' + agent.model + ' ' + agent.state).toLowerCase().includes(query)));
  const of = sorters[ui.sort];
  const sign = ui.descending ? -1 : 1;
  return list.sort((a, b) => { const x = of(a), y = of(b); return x < y ? -sign : x > y ? sign : a.order - b.order; });
}

const rows = [];
let shown = [];
function makeRow() {
  const row = el('div', { className: 'row' });
  row.setAttribute('role', 'option');
  const title = el('span'), group = el('small');
  const dot = el('i', { className: 'dot' }), state = el('span');
  const bar = el('i');
  const parts = {
    row, title, group, dot, state, bar,
    depth: el('div', { className: 'num mail' }), barBox: el('div', { className: 'bar' }, bar), tokens: el('div', { className: 'num' }), cost: el('div', { className: 'num' }),
  };
  row.append(el('div', { className: 'name' }, title, group), el('div', { className: 'state' }, dot, state), parts.depth, parts.barBox, parts.tokens, parts.cost);
  row.addEventListener('click', () => { select(parts.agent.name); });
  $('view').append(row);
  rows.push(parts);
  return parts;
}

function fillRow(parts, agent, top) {
  parts.agent = agent;
  const { row } = parts;
  const className = 'row' + (agent.name === ui.selected ? ' selected' : '') + (agent.alive ? '' : ' dead');
  if (row.className !== className) { row.className = className; row.setAttribute('aria-selected', agent.name === ui.selected); }
  row.style.transform = 'translateY(' + top + 'px)';
  setText(parts.title, shownName(agent.name));
  setText(parts.group, agent.group);
  const state = leaf(agent.state);
  if (parts.shownState !== agent.state) { parts.shownState = agent.state; parts.dot.style.setProperty('--c', 'var(' + colourName(agent.state) + ')'); }
  setText(parts.state, state);
  setText(parts.depth, agent.depth > 0 ? String(agent.depth) : '');
  parts.depth.classList.toggle('some', agent.depth > 0);
  const fill = fillOf(agent);
  parts.barBox.style.visibility = fill === undefined ? 'hidden' : 'visible';
  showFill(parts.barBox, parts.bar, fill);
  const sum = plus(agent.total.inputTokens, agent.total.outputTokens);
  setText(parts.tokens, sum === undefined ? '' : shortCount(sum));
  setText(parts.cost, agent.total.costUsd ? shortUsd(agent.total.costUsd) : '');
}

function showFill(box, bar, fill) {
  bar.style.transform = 'scaleX(' + Math.min(1, fill || 0) + ')';
  box.classList.toggle('high', fill > 0.7 && fill <= 0.9);
  box.classList.toggle('full', fill > 0.9);
}

const timeOf = { end: 0, start: 0 };
function drawLanes(now) {
  shown = shownAgents();
  const lanes = $('lanes'), view = $('view'), canvas = $('timeline');
  const height = lanes.clientHeight;
  $('filler').style.height = Math.max(0, shown.length * rowHeight - height) + 'px';
  view.style.height = height + 'px';
  const first = Math.floor(lanes.scrollTop / rowHeight);
  const offset = -(lanes.scrollTop % rowHeight);
  const count = Math.min(shown.length - first, Math.ceil(height / rowHeight) + 1);
  for (let i = 0; i < Math.max(count, rows.length); i += 1) {
    if (i >= count) { rows[i].row.hidden = true; continue; }
    const parts = rows[i] || makeRow();
    parts.row.hidden = false;
    fillRow(parts, shown[first + i], offset + i * rowHeight);
  }
  const left = 172 + 116 + 44 + 64 + 66 + 64 + 16;
  const width = Math.max(60, lanes.clientWidth - left);
  const context = sized(canvas, width, height);
  timeOf.end = now;
  timeOf.start = ui.cursor === undefined ? now - ui.spanMs : Math.max(now - ui.spanMs, model.firstAt - 50);
  if (replay.all !== undefined && ui.spanMs === Infinity) { timeOf.start = replay.firstAt - 50; timeOf.end = replay.lastAt + 50; }
  drawGrid(context, width, height);
  for (let i = 0; i < count; i += 1) drawLane(context, shown[first + i], offset + i * rowHeight, width, now);
  if (now < timeOf.end) { context.fillStyle = colours['--accent']; context.fillRect(Math.round(xOf(now, width)), 0, 1, height); }
  drawAxis(width);
  $('empty').hidden = model.agents.size > 0 && shown.length > 0;
}

function sized(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = width + 'px';
    canvas.style.height = height + 'px';
  }
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

const xOf = (at, width) => (at - timeOf.start) / (timeOf.end - timeOf.start) * width;
const steps = [10, 50, 100, 250, 500, 1000, 2000, 5000, 10000, 15000, 30000, 60000, 120000, 300000, 600000, 1800000, 3600000];
function ticks(width) {
  const wanted = (timeOf.end - timeOf.start) / (width / 92);
  const step = steps.find((one) => one >= wanted) || 7200000;
  const list = [];
  for (let at = Math.ceil(timeOf.start / step) * step; at <= timeOf.end; at += step) list.push(at);
  return { list, step };
}
function drawGrid(context, width, height) {
  context.fillStyle = colours['--line'];
  context.globalAlpha = 0.55;
  for (const at of ticks(width).list) context.fillRect(Math.round(xOf(at, width)), 0, 1, height);
  context.globalAlpha = 1;
}
function drawAxis(width) {
  const canvas = $('axis');
  const context = sized(canvas, width, 27);
  context.fillStyle = colours['--faint'];
  context.font = '10.5px system-ui, sans-serif';
  const { list, step } = ticks(width);
  for (const at of list) {
    const text = step < 1000 ? clockTime(at).slice(6) : new Date(at).toLocaleTimeString('en-GB');
    const x = xOf(at, width);
    if (x > 4 && x < width - 46) context.fillText(text, x + 4, 17);
  }
}

/** Backwards from now, until what is seen is covered. Stretches narrower than a pixel are drawn once for each pixel. */
function drawLane(context, agent, top, width, now) {
  const { segments, marks } = agent;
  let right = xOf(now, width);
  let drawnTo = Infinity;
  for (let i = segments.length - 1; i >= 0; i -= 1) {
    const x = xOf(segments[i].at, width);
    const from = Math.max(0, x);
    if (from < drawnTo - 0.5) {
      const { state } = segments[i];
      const thin = state === 'idle' || state === 'dead' || state === 'open';
      context.fillStyle = colours[colourName(state)] || colours['--s-other'];
      const size = Math.max(1, right - from);
      if (thin) { context.globalAlpha = state === 'dead' ? 0.35 : 0.8; context.fillRect(from, top + rowHeight / 2 - 1, size, 2); }
      else if (size <= 5) context.fillRect(from, top + 7, size, rowHeight - 14);
      else { context.beginPath(); context.roundRect(from, top + 7, size, rowHeight - 14, 3); context.fill(); }
      context.globalAlpha = 1;
      drawnTo = from;
    }
    right = from;
    if (x <= 0) break;
  }
  for (let i = marks.length - 1; i >= 0; i -= 1) {
    const x = xOf(marks[i].at, width);
    if (x < -8) break;
    if (x <= width + 4 && marks[i].at <= now) drawMark(context, marks[i].sign, x, top + rowHeight / 2);
  }
}

/** A shape for each kind, so that colour is not all that tells them apart. */
function drawMark(context, sign, x, y) {
  context.fillStyle = colours[signColours[sign]];
  context.strokeStyle = colours['--panel'];
  context.lineWidth = 2;
  context.beginPath();
  if (sign === 'retry' || sign === 'warn') { context.moveTo(x, y - 6); context.lineTo(x + 6, y + 5); context.lineTo(x - 6, y + 5); }
  else if (sign === 'fallback') { context.moveTo(x, y - 7); context.lineTo(x + 7, y); context.lineTo(x, y + 7); context.lineTo(x - 7, y); }
  else if (sign === 'hand' || sign === 'good') context.arc(x, y, 5, 0, 7);
  else if (sign === 'restart') context.rect(x - 5, y - 5, 10, 10);
  else { for (const [dx, dy] of [[-5,-3],[-3,-5],[0,-2],[3,-5],[5,-3],[2,0],[5,3],[3,5],[0,2],[-3,5],[-5,3],[-2,0]]) context.lineTo(x + dx, y + dy); }
  context.closePath();
  context.stroke();
  context.fill();
}

/** What is under the pointer, told in a small box. */
function showHint(event) {
  const hint = $('hint'), box = $('timeline').getBoundingClientRect();
  const agent = shown[Math.floor(($('lanes').scrollTop + event.clientY - box.top) / rowHeight)];
  const x = event.clientX - box.left;
  if (agent === undefined || x < 0 || x > box.width) { hint.hidden = true; return; }
  const at = timeOf.start + x / box.width * (timeOf.end - timeOf.start);
  const nearMs = 7 / box.width * (timeOf.end - timeOf.start);
  const near = agent.marks.findLast((one) => Math.abs(one.at - at) <= nearMs);
  const index = agent.segments.findLastIndex((one) => one.at <= at);
  const segment = agent.segments[index];
  if (segment === undefined) { hint.hidden = true; return; }
  const next = agent.segments[index + 1];
  const until = next ? next.at : Math.max(segment.at, ui.cursor ?? timeOf.end);
  hint.replaceChildren(el('b', { textContent: near ? near.text : segment.state.replace('.', ' › ') }),
    el('span', { textContent: shortMs(until - segment.at) + (segment.event ? ' · by ' + segment.event : '') }), el('span', { textContent: clockTime(near ? near.at : segment.at) }));
  hint.hidden = false;
  hint.style.left = Math.min(event.clientX + 14, innerWidth - hint.offsetWidth - 8) + 'px';
  hint.style.top = Math.min(event.clientY + 14, innerHeight - hint.offsetHeight - 8) + 'px';
}

const legend = [['bad', 'an ask failed, a dead letter'], ['retry', 'the same call again'], ['fallback', 'on to another backend'], ['restart', 'restarted after a crash'], ['hand', 'a tool waits for a decision']];
function drawLegend() {
  $('marks').replaceChildren(...legend.flatMap(([sign, text]) => {
    const canvas = el('canvas');
    drawMark(sized(canvas, 20, 18), sign, 10, 9);
    return [el('dt', {}, canvas), el('dd', { textContent: text })];
  }));
}

function setUpLanes() {
  const head = $('head');
  for (const [key, label, side] of columns) {
    const button = el('button', { textContent: label, className: side });
    button.addEventListener('click', () => {
      ui.descending = ui.sort === key ? !ui.descending : key !== 'order' && key !== 'state';
      ui.sort = key;
      for (const other of head.querySelectorAll('button')) other.classList.toggle('sorted', other === button);
    });
    head.append(button);
  }
  head.append(el('canvas', { id: 'axis' }));
  $('lanes').addEventListener('mousemove', showHint);
  $('lanes').addEventListener('mouseleave', () => { $('hint').hidden = true; });
}
`;
