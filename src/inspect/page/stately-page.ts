/** A page around Stately Inspector: it hands on to the frame what our own server streams, whenever the frame asks for it. */
import { createHash } from 'node:crypto';

const style = '*{margin:0}html,body,iframe{height:100%;width:100%;border:0;display:block}';

/** Only the inspector's own origin is heard, and only it is told anything. A frame that is loaded anew gets everything anew. */
const script = `'use strict';(() => {
  const frame = document.querySelector('iframe');
  const { origin } = new URL(frame.src);
  const token = new URLSearchParams(location.search).get('token') || '';
  let stream;
  addEventListener('message', ({ source, origin: from, data }) => {
    if (source !== frame.contentWindow || from !== origin || !data || data.type !== '@statelyai.connected') return;
    if (stream) stream.close();
    stream = new EventSource('/events?token=' + encodeURIComponent(token));
    const post = (events) => { for (const event of events) frame.contentWindow.postMessage(event, origin); };
    stream.addEventListener('snapshot', (event) => post(JSON.parse(event.data).events));
    stream.addEventListener('messages', (event) => { for (const { events } of JSON.parse(event.data)) post(events); });
  });
})();`;

/** Lets the page run its script, talk to its server and show the inspector, and nothing else. */
export function statelyPolicy(inspector: URL): string {
  return [
    "default-src 'none'",
    `script-src '${hashOf(script)}'`,
    `style-src '${hashOf(style)}'`,
    "connect-src 'self'",
    `frame-src ${inspector.origin}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

/** The document. The frame comes last: it may speak only to a page that listens. */
export function statelyPage(inspector: URL): string {
  const source = inspector.href.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>troupe · Stately Inspector</title>',
    `<style>${style}</style></head><body>`,
    `<iframe title="Stately Inspector" src="${source}"></iframe><script>${script}</script></body></html>`,
  ].join('');
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
