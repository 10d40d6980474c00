/** Page script, part 6: where messages come from: a live stream, or a recording with its own clock. */
export const feedScript = String.raw`
const replay = { all: undefined, snapshot: undefined, index: 0, firstAt: 0, lastAt: 0, playing: false, speed: 4 };
/** The troupe's clock, as far as it is known here: what it said last, and the time since then. */
const serverClock = { at: 0, heard: 0 };
const hear = (at) => { if (at >= serverClock.at) Object.assign(serverClock, { at, heard: performance.now() }); };
const liveNow = () => serverClock.at + (performance.now() - serverClock.heard);

function setStatus(className, text) {
  $('status').className = 'status ' + className;
  setText($('status').lastChild, text);
}

/** What arrives while the picture is paused or a recording is shown waits here; too much of it means a new snapshot. */
let waiting = [];
let stream;
function connect() {
  stream = new EventSource('/events?token=' + encodeURIComponent(token));
  stream.addEventListener('open', () => { if (ui.cursor === undefined) setStatus(ui.paused ? 'paused' : 'live', ui.paused ? 'paused' : 'live'); });
  stream.addEventListener('error', () => { if (ui.cursor === undefined) setStatus('lost', stream.readyState === 2 ? 'refused' : 'reconnecting'); });
  stream.addEventListener('snapshot', (event) => {
    const snapshot = JSON.parse(event.data);
    hear(snapshot.at);
    if (ui.paused || ui.cursor !== undefined) waiting = [snapshot];
    else takeSnapshot(snapshot);
  });
  stream.addEventListener('gap', () => { model.gaps += 1; });
  stream.addEventListener('messages', (event) => {
    const messages = JSON.parse(event.data);
    hear(messages[messages.length - 1].at);
    if (ui.paused || ui.cursor !== undefined) { for (const message of messages) waiting.push(message); if (waiting.length > 200000) reconnect(); return; }
    for (const message of messages) take(message);
  });
}
function reconnect() { waiting = []; stream.close(); connect(); }
function catchUp() {
  for (const one of waiting) { if (Array.isArray(one.agents)) takeSnapshot(one); else take(one); }
  waiting = [];
}

function setPaused(paused) {
  if (ui.cursor !== undefined) { setPlaying(!replay.playing); return; }
  ui.paused = paused;
  ui.pausedAt = liveNow();
  setText($('pause'), paused ? 'Go on' : 'Pause');
  setStatus(paused ? 'paused' : 'live', paused ? 'paused' : 'live');
  if (!paused) catchUp();
}

/** The lines of a file: a snapshot, then messages. A cut or damaged line is left out. */
function parseRecording(text) {
  const values = [];
  for (const line of text.split('\n')) { if (line === '') continue; try { values.push(JSON.parse(line)); } catch { /* The writer was stopped in the middle of it. */ } }
  const [first, ...messages] = values;
  if (!first || first.troupeRecording !== 1) throw new Error('This file is no recording of a troupe.');
  return { snapshot: first.snapshot, messages: messages.filter((one) => typeof one.seq === 'number' && typeof one.kind === 'string') };
}

function openRecording({ snapshot, messages }, name) {
  replay.liveModel ??= model;
  Object.assign(replay, { all: messages, snapshot, firstAt: snapshot.at, lastAt: messages.length > 0 ? messages[messages.length - 1].at : snapshot.at });
  if (messages.length > 0 && messages[0].at - snapshot.at > 0) replay.firstAt = snapshot.at;
  $('replay').hidden = false;
  $('live').hidden = document.body.dataset.mode !== 'live';
  $('span').value = 'all';
  ui.spanMs = Infinity;
  setStatus('paused', name);
  seekTo(replay.lastAt);
  pickFirst();
}

/** What was known at a moment is worked out from the beginning; forwards, from where it is. */
function seekTo(at) {
  const forwards = ui.cursor !== undefined && at >= ui.cursor && replay.index > 0;
  if (!forwards) {
    model = emptyModel();
    takeSnapshot(replay.snapshot);
    replay.index = 0;
    sequence.version = -1;
    choose(undefined);
  }
  ui.cursor = at;
  while (replay.index < replay.all.length && replay.all[replay.index].at <= at) { take(replay.all[replay.index]); replay.index += 1; }
  const length = Math.max(1, replay.lastAt - replay.firstAt);
  if (document.activeElement !== $('seek') || replay.playing) $('seek').value = String((at - replay.firstAt) / length * 1000);
  setText($('clock'), clockTime(at));
}

function setPlaying(playing) {
  replay.playing = playing;
  setText($('play'), playing ? 'Pause' : 'Play');
  if (playing && ui.cursor >= replay.lastAt) seekTo(replay.firstAt);
}
function playOn(elapsedMs) {
  if (!replay.playing || ui.cursor === undefined) return;
  const next = Math.min(replay.lastAt, ui.cursor + elapsedMs * replay.speed);
  seekTo(next);
  if (next >= replay.lastAt) setPlaying(false);
}
function stepBy(count) {
  if (ui.cursor === undefined) return;
  setPlaying(false);
  const target = replay.all[Math.max(0, Math.min(replay.all.length - 1, replay.index - 1 + count))];
  if (target) seekTo(target.at);
}
function backToLive() {
  setPlaying(false);
  ui.cursor = undefined;
  replay.all = undefined;
  $('replay').hidden = true;
  $('span').value = '60000';
  ui.spanMs = 60000;
  model = replay.liveModel || emptyModel();
  replay.liveModel = undefined;
  sequence.version = -1;
  setStatus('live', 'live');
  catchUp();
}

async function openFile(file) {
  try { openRecording(parseRecording(await file.text()), file.name); }
  catch (error) { toast(error.message); }
}
async function openServed() {
  try {
    const response = await fetch('/recording', { headers: { authorization: 'Bearer ' + token } });
    if (!response.ok) throw new Error(await response.text());
    openRecording(await response.json(), 'recording');
  } catch (error) { toast(error.message); }
}
`;
