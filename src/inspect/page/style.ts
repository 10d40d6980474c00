/** The look of the page: one sheet, dark or light as the system is. */
export const style = `
:root {
  color-scheme: light dark;
  --bg: #f6f7f9; --panel: #ffffff; --raised: #f1f3f6; --line: #e1e5ea; --text: #171b22; --soft: #566070; --faint: #8a94a3;
  --accent: #3159e8; --accent-soft: #3159e81f; --good: #12805c; --bad: #d02f4a; --warn: #b26a00; --row: #0000000a;
  --s-idle: #b3bcc9; --s-calling: #2f6df0; --s-backing: #d99000; --s-failing: #e0561b; --s-running: #8347e0; --s-approving: #d6369b;
  --s-compress: #0d9488; --s-dead: #9aa2ae; --s-other: #64748b; --shadow: 0 1px 2px #1018280f, 0 8px 24px #10182814;
}
@media (prefers-color-scheme: dark) {
  :root {
    --bg: #0b0d11; --panel: #12151b; --raised: #191d25; --line: #242a34; --text: #e7eaf0; --soft: #9aa4b4; --faint: #667081;
    --accent: #7d9bff; --accent-soft: #7d9bff24; --good: #3ecf9a; --bad: #ff6b81; --warn: #f2b544; --row: #ffffff08;
    --s-idle: #3a4351; --s-calling: #4c8dff; --s-backing: #f0b429; --s-failing: #ff7a45; --s-running: #a67bff; --s-approving: #f472c0;
    --s-compress: #2dd4bf; --s-dead: #4a515d; --s-other: #7c8798; --shadow: 0 1px 2px #0006, 0 12px 32px #0008;
  }
}
* { box-sizing: border-box; }
html, body { height: 100%; margin: 0; }
body {
  display: grid; grid-template: auto 1fr auto / minmax(0, 1fr) var(--side, 560px); background: var(--bg); color: var(--text);
  font: 13px/1.4 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; overflow: hidden;
  font-variant-numeric: tabular-nums;
}
button, input, select { font: inherit; color: inherit; }
button, select, input[type=search] {
  background: var(--raised); border: 1px solid var(--line); border-radius: 7px; height: 30px; padding: 0 10px;
}
button { cursor: pointer; white-space: nowrap; }
button:hover, select:hover { border-color: var(--faint); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
button.bad { color: var(--bad); }
button.good { color: var(--good); }
.mono, code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; font-size: 12px; }
[hidden] { display: none !important; }

header { grid-column: 1 / -1; display: flex; align-items: center; gap: 18px; padding: 9px 16px; background: var(--panel); border-bottom: 1px solid var(--line); }
.brand { display: flex; align-items: center; gap: 9px; font-weight: 650; letter-spacing: -.01em; font-size: 15px; }
.brand svg { width: 22px; height: 22px; }
.brand span { color: var(--faint); font-weight: 450; }
.status { display: inline-flex; align-items: center; gap: 7px; height: 24px; padding: 0 10px; border-radius: 12px; background: var(--raised); color: var(--soft); font-size: 12px; white-space: nowrap; }
.status i { width: 7px; height: 7px; border-radius: 50%; background: var(--faint); }
.status.live i { background: var(--good); box-shadow: 0 0 0 3px color-mix(in srgb, var(--good) 22%, transparent); }
.status.lost i { background: var(--bad); }
.status.paused i { background: var(--warn); }
.figures { display: flex; gap: 20px; flex: 1; justify-content: center; min-width: 0; overflow: hidden; }
.figure { display: flex; flex-direction: column; line-height: 1.15; white-space: nowrap; }
.figure b { font-weight: 620; font-size: 15px; letter-spacing: -.01em; }
.figure span { color: var(--faint); font-size: 10.5px; }
.figure.bad b { color: var(--bad); }
.tools { display: flex; gap: 7px; align-items: center; }
.tools input[type=search] { width: 180px; }
.tools button { min-width: 30px; padding: 0 9px; }

main { display: grid; grid-template-rows: auto auto 1fr; min-height: 0; min-width: 0; background: var(--panel); }
.chips { display: flex; gap: 6px; padding: 9px 16px; align-items: center; min-height: 43px; border-bottom: 1px solid var(--line); }
.chip { display: inline-flex; align-items: center; gap: 6px; height: 24px; padding: 0 9px; border-radius: 12px; border: 1px solid var(--line); background: none; font-size: 12px; color: var(--soft); }
.chip i, .dot { width: 8px; height: 8px; border-radius: 3px; background: var(--c, var(--s-other)); flex: none; }
.chip b { font-weight: 600; color: var(--text); }
.chip[aria-pressed=true] { background: var(--accent-soft); border-color: var(--accent); color: var(--text); }
.chips .chip { flex: none; }
.chips .gap { flex: 1; }
.chips .note { color: var(--warn); font-size: 12px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.head, .row { display: grid; grid-template-columns: 172px 116px 44px 64px 66px 64px minmax(0, 1fr); align-items: center; }
.head { height: 28px; color: var(--faint); font-size: 11px; border-bottom: 1px solid var(--line); padding-left: 16px; }
.head button { background: none; border: 0; height: auto; padding: 0; text-align: left; color: inherit; font-size: 11px; border-radius: 3px; }
.head button:hover { color: var(--text); }
.head button.sorted { color: var(--text); font-weight: 600; }
.head .right { text-align: right; padding-right: 10px; }
.head canvas { width: 100%; height: 27px; display: block; }
.lanes { position: relative; overflow-y: auto; overflow-x: hidden; outline: none; scrollbar-gutter: stable; }
.lanes:focus-visible { box-shadow: inset 0 0 0 2px var(--accent-soft); }
.view { position: sticky; top: 0; overflow: hidden; }
.row { position: absolute; left: 0; right: 0; height: 28px; padding-left: 16px; cursor: default; }
.row:hover { background: var(--row); }
.row.selected { background: var(--accent-soft); box-shadow: inset 3px 0 0 var(--accent); }
.row.dead { opacity: .55; }
.row > * { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.row .name { font-weight: 550; padding-right: 10px; }
.row .name small { font-weight: 400; color: var(--faint); margin-left: 6px; font-size: 11px; }
.row .state { display: flex; align-items: center; gap: 7px; color: var(--soft); font-size: 12px; }
.row .num { text-align: right; padding-right: 10px; color: var(--soft); font-size: 12px; }
.row .mail.some { color: var(--warn); font-weight: 600; }
.bar { height: 5px; border-radius: 3px; background: var(--line); overflow: hidden; margin-right: 12px; }
.bar i { display: block; height: 100%; width: 100%; background: var(--accent); border-radius: 3px; transform-origin: left; transform: scaleX(0); }
.bar.high i { background: var(--warn); }
.bar.full i { background: var(--bad); }
.lanes canvas { position: absolute; top: 0; right: 0; pointer-events: none; }
.empty { position: absolute; inset: 0; display: grid; place-content: center; text-align: center; gap: 6px; color: var(--faint); padding: 40px; }
.empty b { color: var(--soft); font-size: 15px; font-weight: 600; }

aside { display: grid; grid-template-columns: minmax(0, 1fr); grid-template-rows: auto auto minmax(180px, 41%) auto minmax(0, 1fr) auto; min-height: 0; min-width: 0; border-left: 1px solid var(--line); background: var(--panel); }
.who { padding: 14px 18px 12px; display: flex; align-items: flex-start; gap: 12px; }
.who h1 { margin: 0; font-size: 17px; font-weight: 640; letter-spacing: -.015em; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.who .sub { color: var(--soft); font-size: 12px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.who > div:first-child { flex: 1; min-width: 0; }
.pill { display: inline-flex; align-items: center; gap: 7px; height: 26px; border-radius: 13px; padding: 0 11px; background: color-mix(in srgb, var(--c) 16%, transparent); color: var(--text); font-size: 12px; font-weight: 550; white-space: nowrap; }
.pill i { width: 8px; height: 8px; border-radius: 50%; background: var(--c); }
.acts { display: flex; gap: 6px; }
.acts button { height: 26px; font-size: 12px; }
.tiles { display: grid; grid-template-columns: 1.3fr 1.1fr .7fr 1.1fr 1.35fr; border-block: 1px solid var(--line); background: var(--raised); }
.tile { padding: 8px 10px 9px; min-width: 0; border-left: 1px solid var(--line); }
.tile:first-child { border-left: 0; padding-left: 18px; }
.tile span { display: block; overflow: hidden; text-overflow: ellipsis; color: var(--faint); font-size: 10px; white-space: nowrap; }
.tile b { display: block; font-weight: 600; font-size: 13.5px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.tile .bar { margin: 4px 0 0; }
.chart { position: relative; min-height: 0; overflow: hidden; }
.chart svg { width: 100%; height: 100%; display: block; }
.caption { position: absolute; left: 18px; right: 18px; bottom: 7px; font-size: 11.5px; color: var(--soft); text-align: center; pointer-events: none; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.node rect { fill: var(--panel); stroke: var(--line); stroke-width: 1.25; }
.node.compound > rect { fill: var(--raised); }
.node.anywhere rect { fill: none; stroke-dasharray: 4 4; }
.node text { fill: var(--text); font-size: 12px; font-weight: 550; }
.node .invokes { fill: var(--faint); font-size: 10px; font-weight: 400; }
.node .title { fill: var(--soft); font-size: 11px; font-weight: 600; }
.node.within > rect { stroke: var(--c); stroke-opacity: .55; }
.node.now > rect { stroke: color-mix(in srgb, var(--c) 72%, var(--text)); stroke-width: 2; fill: color-mix(in srgb, var(--c) 18%, var(--panel)); }
.node.final rect.inner { fill: none; }
.edge path { fill: none; stroke: var(--faint); stroke-opacity: .38; stroke-width: 1.15; }
.edge .tip { fill: var(--faint); stroke: none; fill-opacity: .6; }
.edge.out path:not(.tip) { stroke-opacity: .8; stroke: var(--soft); }
.edge.lit path:not(.tip) { stroke: var(--accent); stroke-opacity: 1; stroke-width: 2.2; }
.edge.lit .tip { fill: var(--accent); fill-opacity: 1; }
.edge:hover path:not(.tip) { stroke: var(--text); stroke-opacity: 1; }
.start { fill: var(--soft); }
.bartitle { display: flex; align-items: center; gap: 10px; padding: 7px 18px; border-block: 1px solid var(--line); color: var(--soft); font-size: 12px; font-weight: 600; background: var(--raised); }
.bartitle span { color: var(--faint); font-weight: 400; flex: 1; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.sequence { overflow: auto; min-height: 0; position: relative; }
.sequence svg { display: block; }
.heads { position: sticky; top: 0; background: var(--panel); border-bottom: 1px solid var(--line); z-index: 1; }
.heads text { fill: var(--soft); font-size: 11px; font-weight: 600; text-anchor: middle; }
.life { stroke: var(--line); }
.step .at { fill: var(--faint); font-size: 10px; }
.step .label { fill: var(--text); font-size: 11px; paint-order: stroke; stroke: var(--panel); stroke-width: 4px; stroke-linejoin: round; }
.step .label tspan { fill: var(--faint); }
.step path { fill: none; stroke: var(--soft); stroke-width: 1.3; }
.step .tip { fill: var(--soft); stroke: none; }
.step.back path { stroke-dasharray: 4 3; }
.step.bad path { stroke: var(--bad); }
.step.bad .tip, .step.bad .label { fill: var(--bad); }
.step.good path { stroke: var(--good); }
.step.good .tip { fill: var(--good); }
.step .note { fill: color-mix(in srgb, var(--c) 14%, var(--panel)); stroke: var(--c); stroke-opacity: .5; }
.step .hit { fill: transparent; }
.step:hover .hit { fill: var(--row); }
.step.chosen .hit { fill: var(--accent-soft); }
.details { border-top: 1px solid var(--line); background: var(--raised); max-height: 230px; overflow: auto; padding: 10px 18px; }
.details pre { margin: 0; white-space: pre-wrap; word-break: break-word; }
.details dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 14px; margin: 0; font-size: 12px; }
.details dt { color: var(--faint); }
.details dd { margin: 0; word-break: break-word; white-space: pre-wrap; }

footer { grid-column: 1 / -1; display: flex; align-items: center; gap: 12px; padding: 8px 16px; background: var(--panel); border-top: 1px solid var(--line); }
footer input[type=range] { flex: 1; accent-color: var(--accent); }
footer .mono { color: var(--soft); min-width: 92px; text-align: right; }
.hint { position: fixed; z-index: 5; background: var(--panel); border: 1px solid var(--line); border-radius: 8px; box-shadow: var(--shadow); padding: 7px 10px; font-size: 12px; pointer-events: none; max-width: 340px; }
.hint b { display: block; }
.hint span { color: var(--soft); display: block; }
dialog { border: 1px solid var(--line); border-radius: 14px; background: var(--panel); color: var(--text); box-shadow: var(--shadow); padding: 20px 26px 24px; min-width: 380px; }
dialog:focus-visible { outline: none; }
dialog::backdrop { background: #0007; }
dialog h2 { margin: 0 0 12px; font-size: 16px; }
dialog dl + h2 { margin-top: 18px; }
dialog dl { display: grid; grid-template-columns: max-content 1fr; gap: 7px 18px; margin: 0; }
dialog dt { text-align: right; }
dialog dd { margin: 0; color: var(--soft); }
kbd { font: 11px ui-monospace, Menlo, Consolas, "Liberation Mono", monospace; border: 1px solid var(--line); border-bottom-width: 2px; border-radius: 5px; padding: 1px 6px; background: var(--raised); }
.toast { position: fixed; left: 50%; bottom: 28px; transform: translateX(-50%); background: var(--text); color: var(--bg); border-radius: 9px; padding: 9px 16px; box-shadow: var(--shadow); z-index: 9; max-width: 70vw; }
body.dropping::after { content: "Drop a recording to open it"; position: fixed; inset: 14px; border: 2px dashed var(--accent); border-radius: 16px; background: color-mix(in srgb, var(--bg) 86%, transparent); display: grid; place-content: center; font-size: 20px; z-index: 10; }
@media (max-width: 1100px) { body { --side: 440px; } .figures .wide { display: none; } }
@media (prefers-reduced-motion: no-preference) { .edge.lit path:not(.tip) { stroke-dasharray: 7 4; animation: flow .7s linear infinite; } }
@keyframes flow { to { stroke-dashoffset: -11; } }
`;
