/** Page script, part 7: keys, buttons, and the one loop that draws. */
export const mainScript = `
function select(name) {
  if (ui.selected === name) return;
  ui.selected = name;
  sequence.version = -1;
  choose(undefined);
}
function pickFirst() {
  if (ui.selected !== undefined && model.agents.has(ui.selected)) return;
  const first = [...model.agents.values()].find(({ name }) => name !== supervisorName);
  if (first !== undefined) select(first.name);
}
function moveBy(count) {
  const index = shown.findIndex(({ name }) => name === ui.selected);
  const next = shown[Math.max(0, Math.min(shown.length - 1, index + count))];
  if (next === undefined) return;
  select(next.name);
  const lanes = $('lanes'), top = shown.indexOf(next) * rowHeight;
  if (top < lanes.scrollTop) lanes.scrollTop = top;
  else if (top + rowHeight > lanes.scrollTop + lanes.clientHeight) lanes.scrollTop = top + rowHeight - lanes.clientHeight;
}

const spans = [[5000, '5 s'], [15000, '15 s'], [60000, '1 min'], [300000, '5 min'], [900000, '15 min'], [3600000, '1 h'], ['all', 'all']];
function setSpan(value) {
  $('span').value = String(value);
  ui.spanMs = value === 'all' ? Infinity : Number(value);
}
function zoom(by) {
  const index = spans.findIndex(([value]) => String(value) === $('span').value);
  setSpan(spans[Math.max(0, Math.min(spans.length - 1, index + by))][0]);
}

function showKeys() { drawLegend(); $('keys').showModal(); }
const keys = {
  j: () => moveBy(1), k: () => moveBy(-1), ArrowDown: () => moveBy(1), ArrowUp: () => moveBy(-1), ArrowLeft: () => stepBy(-1), ArrowRight: () => stepBy(1),
  PageDown: () => moveBy(10), PageUp: () => moveBy(-10), ' ': () => setPaused(!ui.paused), '/': () => $('filter').focus(), '?': showKeys,
  '+': () => zoom(-1), '-': () => zoom(1), o: () => $('file').click(),
  Escape: () => { $('filter').value = ''; ui.query = ''; ui.states.clear(); ui.troubled = false; choose(undefined); },
};
function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $('keys').open) return;
  const inField = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (inField && event.key === 'Escape') { event.target.blur(); keys.Escape(); return; }
  if (inField || (event.target.tagName === 'BUTTON' && event.key === ' ')) return;
  const action = keys[event.key];
  if (action === undefined) return;
  event.preventDefault();
  action();
}

function setUpControls() {
  for (const [value, label] of spans) $('span').append(el('option', { value: String(value), textContent: label }));
  setSpan(60000);
  $('span').addEventListener('change', (event) => setSpan(event.target.value));
  $('filter').addEventListener('input', (event) => { ui.query = event.target.value.trim(); });
  $('pause').addEventListener('click', () => setPaused(!ui.paused));
  $('help').addEventListener('click', showKeys);
  $('keys').addEventListener('click', () => $('keys').close());
  $('open').addEventListener('click', () => $('file').click());
  $('file').addEventListener('change', (event) => { const [file] = event.target.files; if (file) void openFile(file); event.target.value = ''; });
  $('follow').addEventListener('click', () => { ui.follow = !ui.follow; $('follow').setAttribute('aria-pressed', ui.follow); sequence.version = -1; });
  $('play').addEventListener('click', () => setPlaying(!replay.playing));
  $('speed').addEventListener('change', (event) => { replay.speed = Number(event.target.value); });
  $('seek').addEventListener('input', (event) => { setPlaying(false); seekTo(replay.firstAt + (replay.lastAt - replay.firstAt) * event.target.value / 1000); });
  $('live').addEventListener('click', backToLive);
  document.addEventListener('keydown', onKey);
  document.addEventListener('dragover', (event) => { event.preventDefault(); document.body.classList.add('dropping'); });
  document.addEventListener('dragleave', (event) => { if (event.relatedTarget === null) document.body.classList.remove('dropping'); });
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    document.body.classList.remove('dropping');
    const [file] = event.dataTransfer.files;
    if (file) void openFile(file);
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', readColours);
}

let drawnAt = 0, slowAt = 0, costMs = 0;
/** Thirty pictures a second at most, and so few that drawing takes a third of the time; what is made of many nodes, less often. */
function frame(at) {
  requestAnimationFrame(frame);
  if (at - drawnAt < Math.max(30, 3 * costMs)) return;
  playOn(Math.min(250, at - drawnAt));
  drawnAt = at;
  const now = ui.cursor ?? (ui.paused ? ui.pausedAt : liveNow());
  if (ui.spanMs === Infinity && replay.all === undefined) ui.spanMs = Math.max(1000, now - model.firstAt);
  const begunAt = performance.now();
  drawLanes(now);
  costMs = performance.now() - begunAt;
  if ($('span').value === 'all') ui.spanMs = Infinity;
  if (at - slowAt < 100) return;
  slowAt = at;
  if (ui.selected === undefined) pickFirst();
  const agent = model.agents.get(ui.selected);
  drawFigures();
  drawSide(agent, now);
  drawChart(agent);
  drawSequence(agent, at);
}

readColours();
setUpLanes();
setUpSide();
setUpFigures();
setUpChips();
setUpControls();
if (document.body.dataset.mode === 'recording') void openServed(); else connect();
requestAnimationFrame(frame);
`;
