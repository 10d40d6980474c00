/** The page of the inspector: one HTML document that loads nothing. */
import { createHash } from 'node:crypto';
import { chartScript } from './chart-script.ts';
import { feedScript } from './feed-script.ts';
import { lanesScript } from './lanes-script.ts';
import { mainScript } from './main-script.ts';
import { markup } from './markup.ts';
import { modelScript } from './model-script.ts';
import { sequenceScript } from './sequence-script.ts';
import { sideScript } from './side-script.ts';
import { style } from './style.ts';

export interface PageOptions {
  /** Where it gets its first messages from. */
  readonly mode: 'live' | 'recording';
  /** Whether it offers to act on agents. */
  readonly actions: boolean;
}

const parts = [modelScript, lanesScript, chartScript, sequenceScript, sideScript, feedScript, mainScript];
const script = `'use strict';(() => {${parts.join('')}})();`;

let policy: string | undefined;

/** Lets the page run its own script and talk to its own server, and nothing else. */
export function pagePolicy(): string {
  policy ??= [
    "default-src 'none'",
    `script-src '${hashOf(script)}'`,
    `style-src '${hashOf(style)}'`,
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
  return policy;
}

/** The document. Nothing in it comes from outside of this folder. */
export function page({ mode, actions }: PageOptions): string {
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width,initial-scale=1"><title>troupe inspector</title>',
    `<style>${style}</style></head><body data-mode="${mode}" data-actions="${actions}">`,
    `${markup}<script>${script}</script></body></html>`,
  ].join('');
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
