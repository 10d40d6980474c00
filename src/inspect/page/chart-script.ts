/**
 * Page script, part 3: the statechart of the selected agent, laid out here from the shipped machine.
 * States at the top stand in columns by how many transitions they are from the initial one, those within a state below
 * each other; an edge leaves and meets its boxes at a place of its own.
 */
export const chartScript = String.raw`
const chart = { id: undefined, svg: undefined, nodes: new Map(), edges: [], state: undefined, edge: undefined };
const boxWidth = (text) => Math.max(92, text.length * 7 + 30);

function layOut(machine) {
  const boxes = new Map();
  const inside = (path) => machine.states.filter(({ parent }) => parent === path);
  const measure = (state) => {
    const children = inside(state.path).map(measure);
    const invokes = state.invokes.filter((id) => id !== leaf(state.path)).join(', ');
    const box = { ...state, label: leaf(state.path), note: state.invokes.join(', '), children, compound: children.length > 0 };
    box.width = boxWidth(invokes.length > box.label.length ? invokes : box.label);
    box.height = state.invokes.length > 0 ? 42 : 32;
    if (box.compound) {
      const wide = Math.max(...children.map(({ width }) => width));
      for (const child of children) child.width = wide;
      box.width = Math.max(box.width, wide + 28);
      box.height = 30 + children.reduce((sum, { height }) => sum + height + 20, 0) - 20 + 14;
    }
    boxes.set(box.path, box);
    return box;
  };
  const tops = inside('').map(measure);
  const topOf = (path) => path.split('.')[0];
  const depth = new Map(tops.filter(({ initial }) => initial).map(({ path }) => [path, 0]));
  for (let round = 0; round < tops.length; round += 1)
    for (const { source, target } of machine.edges)
      if (depth.has(topOf(source)) && !depth.has(topOf(target))) depth.set(topOf(target), depth.get(topOf(source)) + 1);
  const deepest = Math.max(0, ...depth.values());
  for (const top of tops) if (!depth.has(top.path) || top.final) depth.set(top.path, top.final ? Math.max(1, deepest) : 1);
  if (machine.edges.some(({ source }) => source === '')) {
    const any = { path: '', parent: '', label: 'any state', note: '', children: [], width: 92, height: 30, anywhere: true };
    boxes.set('', any);
    tops.push(any);
    depth.set('', 0);
  }
  const columns = [];
  for (const top of tops) (columns[depth.get(top.path)] ??= []).push(top);
  const filled = columns.filter(Boolean);
  const heightOf = (column) => column.reduce((sum, { height }) => sum + height + 34, -34);
  balance(filled, heightOf);
  const tallest = Math.max(...filled.map(heightOf));
  let x = 24;
  for (const column of filled) {
    const width = Math.max(...column.map((box) => box.width));
    const spare = tallest - heightOf(column);
    let y = 20 + spare / 2;
    for (const box of column) { place(box, x + (width - box.width) / 2, y); y += box.height + 34; }
    x += width + 96;
  }
  return { boxes, width: x - 96 + 40, height: tallest + 40 };
}

/** Moves states from a column that is too tall to the next one, as long as the taller of the two gets lower. */
function balance(columns, heightOf) {
  for (let i = 1; i + 1 < columns.length; i += 1) {
    const [column, next] = [columns[i], columns[i + 1]];
    while (column.length > 1) {
      const last = column[column.length - 1];
      if (Math.max(heightOf(column.slice(0, -1)), heightOf([last, ...next])) >= Math.max(heightOf(column), heightOf(next))) break;
      next.unshift(column.pop());
    }
  }
}

function place(box, x, y) {
  Object.assign(box, { x, y });
  let inner = y + 30;
  for (const child of box.children) { place(child, x + (box.width - child.width) / 2, inner); inner += child.height + 20; }
}

/** From which side of its boxes an edge goes to which, by where they stand. */
function sidesOf(from, to) {
  const within = to.path !== '' && from.path.startsWith(to.path + '.');
  if (within) return ['left', 'left-in'];
  if (to.x > from.x + from.width) return ['right', 'left'];
  if (to.x + to.width < from.x) return ['left', 'right'];
  const gap = to.y > from.y ? to.y - from.y - from.height : from.y - to.y - to.height;
  if (gap <= 40) return to.y > from.y ? ['bottom', 'top'] : ['top', 'bottom'];
  return ['right', 'right'];
}

function routes(machine, boxes) {
  const ports = new Map();
  const edges = machine.edges.filter(({ source, target }) => boxes.has(source) && boxes.has(target) && source !== target).map((edge) => {
    const from = boxes.get(edge.source), to = boxes.get(edge.target);
    const [out, into] = sidesOf(from, to);
    const port = (box, side, other) => {
      const key = box.path + ' ' + side.replace('-in', '');
      const list = ports.get(key) || [];
      ports.set(key, list);
      const one = { other, index: 0, of: list };
      list.push(one);
      return one;
    };
    return { ...edge, from, to, out, into, start: port(from, out, to), stop: port(to, into, from) };
  });
  for (const [key, list] of ports) {
    const vertical = key.endsWith('left') || key.endsWith('right');
    const middle = ({ other }) => vertical ? other.y + other.height / 2 : other.x + other.width / 2;
    list.sort((a, b) => middle(a) - middle(b)).forEach((one, index) => { one.index = index; });
  }
  return edges.map((edge) => ({ ...edge, path: curve(edge) }));
}

const normals = { left: [-1, 0], right: [1, 0], top: [0, -1], bottom: [0, 1], 'left-in': [1, 0] };
function portAt(box, side, { index, of }) {
  const share = (index + 1) / (of.length + 1);
  const top = box.compound ? 30 : 0;
  if (side === 'left' || side === 'left-in') return [box.x, box.y + top + share * (box.height - top)];
  if (side === 'right') return [box.x + box.width, box.y + top + share * (box.height - top)];
  return [box.x + share * box.width, side === 'top' ? box.y : box.y + box.height];
}
function curve({ from, to, out, into, start, stop }) {
  const [x1, y1] = portAt(from, out, start), [x2, y2] = portAt(to, into, stop);
  const [nx1, ny1] = normals[out], [nx2, ny2] = normals[into];
  const far = Math.hypot(x2 - x1, y2 - y1);
  const bend = out === into ? 26 + far * 0.16 : out === 'bottom' || out === 'top' ? far * 0.4 : Math.max(30, Math.abs(x2 - x1) * 0.45);
  const tip = [x2 + nx2 * 6, y2 + ny2 * 6];
  const d = 'M' + x1 + ' ' + y1 + 'C' + (x1 + nx1 * bend) + ' ' + (y1 + ny1 * bend) + ' ' + (x2 + nx2 * bend) + ' ' + (y2 + ny2 * bend) + ' ' + tip[0] + ' ' + tip[1];
  const across = [-ny2 * 4, nx2 * 4];
  const head = 'M' + x2 + ' ' + y2 + 'L' + (x2 + nx2 * 8 + across[0]) + ' ' + (y2 + ny2 * 8 + across[1]) + 'L' + (x2 + nx2 * 8 - across[0]) + ' ' + (y2 + ny2 * 8 - across[1]) + 'Z';
  return { d, head };
}

const wayText = ({ event, guard }) => event + (guard ? ' [' + guard + ']' : '');

function buildChart(machine) {
  const { boxes, width, height } = layOut(machine);
  // A small machine is not blown up.
  const [wide, tall] = [Math.max(width, 640), Math.max(height + 18, 320)];
  const root = svg('svg', { viewBox: (width - wide) / 2 + ' ' + (height + 18 - tall) / 2 + ' ' + wide + ' ' + tall, role: 'img', 'aria-label': 'Statechart ' + machine.id });
  const nodes = new Map();
  const drawBox = (box) => {
    const group = svg('g', { class: 'node' + (box.compound ? ' compound' : '') + (box.final ? ' final' : '') + (box.anywhere ? ' anywhere' : '') });
    group.style.setProperty('--c', 'var(' + colourName(box.path) + ')');
    group.append(svg('title', {}, box.description || 'Whatever state it is in.'));
    const round = box.compound ? 12 : box.anywhere ? 15 : 9;
    group.append(svg('rect', { x: box.x, y: box.y, width: box.width, height: box.height, rx: round }));
    if (box.final) group.append(svg('rect', { class: 'inner', x: box.x + 4, y: box.y + 4, width: box.width - 8, height: box.height - 8, rx: 6 }));
    const middle = box.x + box.width / 2;
    const line = box.compound ? 19 : box.note ? 19 : box.height / 2 + 4;
    group.append(svg('text', { class: box.compound ? 'title' : '', x: middle, y: box.y + line, 'text-anchor': 'middle' }, box.label));
    if (box.note && !box.compound) group.append(svg('text', { class: 'invokes', x: middle, y: box.y + 33, 'text-anchor': 'middle' }, '⚙ ' + box.note));
    if (box.initial) group.append(svg('circle', { class: 'start', cx: box.x + 1, cy: box.y + 1, r: 4 }));
    nodes.set(box.path, group);
    return group;
  };
  const all = [...boxes.values()].sort((a, b) => a.path.split('.').length - b.path.split('.').length);
  root.append(...all.filter(({ compound }) => compound).map(drawBox));
  const edges = routes(machine, boxes).map(({ source, target, ways, path }) => {
    const group = svg('g', { class: 'edge' }, svg('title', {}, (source || 'any state') + ' → ' + target + '\n' + ways.map(wayText).join('\n')), svg('path', { d: path.d }), svg('path', { class: 'tip', d: path.head }));
    root.append(group);
    return { source, target, ways, group };
  });
  root.append(...all.filter(({ compound }) => !compound).map(drawBox));
  return { svg: root, nodes, edges };
}

/** The edge that a transition took: of those from its source, the one that leads closest to where it went. */
function edgeTaken(edges, { source, to }) {
  const fits = edges.filter((edge) => edge.source === source && (to === edge.target || to.startsWith(edge.target + '.')));
  return fits.sort((a, b) => b.target.length - a.target.length)[0];
}

function drawChart(agent) {
  const machine = agent && model.machines[agent.machine];
  if (machine === undefined) { if (chart.svg) { chart.svg.remove(); chart.svg = undefined; chart.id = undefined; setText($('caption'), ''); } return; }
  if (chart.id !== machine) {
    if (chart.svg) chart.svg.remove();
    Object.assign(chart, buildChart(machine), { id: machine, state: undefined, edge: null });
    $('chart').prepend(chart.svg);
  }
  if (chart.state !== agent.state) {
    chart.state = agent.state;
    for (const [path, group] of chart.nodes) {
      group.classList.toggle('now', path === agent.state);
      group.classList.toggle('within', path !== '' && agent.state.startsWith(path + '.'));
    }
    for (const { source, group } of chart.edges) group.classList.toggle('out', source !== '' && (source === agent.state || agent.state.startsWith(source + '.')));
  }
  if (chart.edge !== agent.edge) {
    chart.edge = agent.edge;
    const taken = agent.edge && edgeTaken(chart.edges, agent.edge);
    for (const edge of chart.edges) edge.group.classList.toggle('lit', edge === taken);
    if (taken) chart.svg.insertBefore(taken.group, [...chart.nodes.values()].find((group) => !group.classList.contains('compound')) || null);
    const { from, to, event } = agent.edge || {};
    setText($('caption'), agent.edge ? (from || '·') + ' → ' + to + '  ·  ' + event : machine.description);
  }
}
`;
