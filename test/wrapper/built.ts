/** The built command. TROUPE_WRAPPER names another build. */
import { existsSync } from 'node:fs';

/** Its path. Throws when it is not built. */
export function builtWrapper(): string {
  const main = process.env['TROUPE_WRAPPER'] ?? new URL('../../dist/src/wrapper/main.js', import.meta.url).pathname;
  if (!existsSync(main)) throw new Error('The command is not built: run `npm run build` first.');
  return main;
}
