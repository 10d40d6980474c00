/** The Chromium of this machine, for tests of pages. */
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const places = [
  process.env['CHROMIUM_PATH'],
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  chromium.executablePath(),
];

/** Where it is; undefined when there is none, which is said. */
export const browserPath = places.find((place) => place !== undefined && place !== '' && existsSync(place));

if (browserPath === undefined)
  process.stderr.write(
    '\nTHE PAGES ARE NOT TESTED: there is no Chromium on this machine.\n' +
      'Get one by `npx playwright-core install --with-deps chromium` or your package manager,\n' +
      'or name one in CHROMIUM_PATH, then: npm run test:page\n\n',
  );

/** Starts it. */
export function launch() {
  // As root, which is what a container is, it has no sandbox.
  return chromium.launch({ executablePath: browserPath ?? '', args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
}
