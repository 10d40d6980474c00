/** Page script, part 4: who asked, called and answered whom, for the selected agent; and what one step of it says. */
export const sequenceScript = `
const sequence = { agent: undefined, version: -1, width: 0, drawnAt: 0 };
const stepHeight = 30;
const gutter = 92;
const noteColours = { born: '--good', bad: '--bad', retry: '--s-backing', fallback: '--s-failing', hand: '--s-approving', compress: '--s-compress' };

function lifelines(items) {
  const backends = new Set();
  let tools = false;
  for (const { kind, from, to } of items) {
    if (kind !== 'arrow') continue;
    for (const end of [from, to]) { if (end.startsWith('backend:')) backends.add(end); else if (end === 'tools') tools = true; }
  }
  return items.every(({ kind }) => kind === 'note') ? ['agent'] : ['caller', 'agent', ...backends, ...(tools ? ['tools'] : [])];
}

function drawSequence(agent, at) {
  const box = $('sequence');
  const width = box.clientWidth;
  if (agent === undefined) { box.replaceChildren(); sequence.agent = undefined; setText($('seqnote'), ''); return; }
  const isSame = sequence.agent === agent && sequence.version === agent.version && sequence.width === width;
  if (isSame || (sequence.agent === agent && at - sequence.drawnAt < 200)) return;
  Object.assign(sequence, { agent, version: agent.version, width, drawnAt: at });
  const items = ui.follow ? agent.sequence.slice(-120) : agent.sequence;
  const lanes = lifelines(items);
  const gap = (width - gutter - 60) / Math.max(1, lanes.length - 1);
  const x = new Map(lanes.map((lane, index) => [lane, lanes.length === 1 ? (gutter + width) / 2 : gutter + 20 + index * gap]));
  const height = items.length * stepHeight + 12;
  const heads = svg('svg', { class: 'heads', width, height: 26 });
  for (const lane of lanes) heads.append(svg('text', { x: clampX(x.get(lane), width), y: 17 }, lane === 'agent' ? shownName(agent.name) : lane.replace('backend:', '')));
  const body = svg('svg', { width, height });
  for (const lane of lanes) body.append(svg('line', { class: 'life', x1: x.get(lane), x2: x.get(lane), y1: 0, y2: height }));
  items.forEach((item, index) => body.append(drawStep(item, index * stepHeight + 6, x, width)));
  box.replaceChildren(heads, body);
  if (ui.follow) box.scrollTop = box.scrollHeight;
  setText($('seqnote'), items.length === 0 ? 'nothing yet' : agent.sequence.length + ' steps' + (model.content === 'none' ? ' · texts are not shown' : ''));
}

const clampX = (x, width) => Math.max(36, Math.min(width - 40, x));

function drawStep(item, top, x, width) {
  const group = svg('g', { class: 'step' + (item.back ? ' back' : '') + (item.tone ? ' ' + item.tone : '') + (item === ui.chosen ? ' chosen' : '') });
  const middle = top + stepHeight - 10;
  group.append(svg('rect', { class: 'hit', x: 0, y: top - 2, width, height: stepHeight }), svg('text', { class: 'at', x: 18, y: middle + 3 }, clockTime(item.at)));
  if (item.kind === 'note') {
    group.style.setProperty('--c', 'var(' + (noteColours[item.sign] || '--s-other') + ')');
    const wide = item.label.length * 6.3 + 24;
    const left = Math.max(gutter - 6, Math.min(width - wide - 12, x.get('agent') - wide / 2));
    group.append(svg('rect', { class: 'note', x: left, y: top + 5, width: wide, height: 20, rx: 10 }));
    group.append(svg('text', { class: 'label', x: left + wide / 2, y: top + 19, 'text-anchor': 'middle', 'stroke-opacity': 0 }, item.label));
  } else {
    const from = x.get(item.from), to = x.get(item.to);
    const way = Math.sign(to - from);
    group.append(svg('path', { d: 'M' + from + ' ' + middle + 'L' + (to - way * 6) + ' ' + middle }));
    group.append(svg('path', { class: 'tip', d: 'M' + to + ' ' + middle + 'l' + -way * 8 + ' -4l0 8z' }));
    const label = svg('text', { class: 'label', x: Math.min(from, to) + 12, y: middle - 5 }, item.label);
    if (item.more) label.append(svg('tspan', { dx: 6 }, item.more));
    group.append(label);
  }
  group.addEventListener('click', () => { choose(item === ui.chosen ? undefined : item); });
  return group;
}

function choose(item) {
  ui.chosen = item;
  sequence.version = -1;
  const box = $('details');
  box.hidden = item === undefined;
  if (item === undefined) return;
  const list = el('dl');
  for (const message of item.raw) {
    for (const [name, value] of Object.entries(message)) {
      if (value === undefined || name === 'seq' || name === 'view') continue;
      const shownValue = name === 'at' ? clockTime(value) : name === 'total' || name === 'error' ? JSON.stringify(value) : String(value);
      list.append(el('dt', { textContent: name }), el('dd', { textContent: shownValue, className: typeof value === 'string' ? '' : 'mono' }));
    }
  }
  box.replaceChildren(list);
}
`;
