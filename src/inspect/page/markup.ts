/** The skeleton of the page. What changes is filled in by its script, as text. */
export const markup = `
<header>
  <div class="brand">
    <svg viewBox="0 0 24 24" aria-hidden="true"><rect x="2" y="4" width="12" height="4" rx="2" fill="var(--s-calling)"/><rect x="7" y="10" width="15" height="4" rx="2" fill="var(--s-running)"/><rect x="4" y="16" width="9" height="4" rx="2" fill="var(--s-compress)"/></svg>
    troupe <span>inspector</span>
  </div>
  <div class="status" id="status" role="status"><i></i><span>connecting</span></div>
  <div class="figures" id="figures"></div>
  <div class="tools">
    <input type="search" id="filter" placeholder="Filter agents  /" aria-label="Filter agents" spellcheck="false">
    <select id="span" aria-label="Time shown"></select>
    <button id="pause" title="Pause (space)">Pause</button>
    <button id="open" title="Open a recording (o)">Open…</button>
    <button id="help" title="Keys (?)" aria-label="Keys">?</button>
    <input type="file" id="file" accept=".jsonl,.ndjson,application/jsonl" hidden>
  </div>
</header>
<main>
  <div class="chips" id="chips" role="group" aria-label="Filter by state"></div>
  <div class="head" id="head"></div>
  <div class="lanes" id="lanes" tabindex="0" role="listbox" aria-label="Agents">
    <div class="view" id="view"><canvas id="timeline"></canvas></div>
    <div id="filler"></div>
    <div class="empty" id="empty"><b>No agents yet</b><span>Agents show up here when they are spawned.</span></div>
  </div>
</main>
<aside>
  <div class="who"><div><h1 id="who"></h1><div class="sub" id="sub"></div></div><div class="acts" id="acts"></div><div class="pill" id="pill"><i></i><span></span></div></div>
  <div class="tiles" id="tiles"></div>
  <div class="chart" id="chart"><div class="caption" id="caption"></div></div>
  <div class="bartitle">Sequence <span id="seqnote"></span><button class="chip" id="follow" aria-pressed="true">Follow</button></div>
  <div class="sequence" id="sequence" tabindex="0" aria-label="Sequence of asks, calls and tools"></div>
  <div class="details" id="details" hidden></div>
</aside>
<footer id="replay" hidden>
  <button id="play">Play</button>
  <select id="speed" aria-label="Speed"><option value="1">1×</option><option value="4" selected>4×</option><option value="16">16×</option><option value="64">64×</option></select>
  <input type="range" id="seek" min="0" max="1000" value="1000" aria-label="Time">
  <span class="mono" id="clock"></span>
  <button id="live" hidden>Back to live</button>
</footer>
<div class="hint" id="hint" hidden></div>
<div class="toast" id="toast" role="alert" hidden></div>
<dialog id="keys"><h2>Keys</h2><dl>
  <dt><kbd>↑</kbd> <kbd>↓</kbd> or <kbd>j</kbd> <kbd>k</kbd></dt><dd>previous or next agent</dd>
  <dt><kbd>/</kbd></dt><dd>filter by name, group, backend, model or state</dd>
  <dt><kbd>space</kbd></dt><dd>pause the picture, or play a recording</dd>
  <dt><kbd>+</kbd> <kbd>-</kbd></dt><dd>less or more time</dd>
  <dt><kbd>←</kbd> <kbd>→</kbd></dt><dd>step through a recording</dd>
  <dt><kbd>o</kbd></dt><dd>open a recording</dd>
  <dt><kbd>esc</kbd></dt><dd>clear the filter, close what is open</dd>
</dl><h2>Marks</h2><dl id="marks"></dl></dialog>
`;
