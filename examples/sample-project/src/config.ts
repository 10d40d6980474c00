/** Settings, read once from the environment. */

export interface Config {
  readonly port: number;
  readonly database: string;
  readonly covers: string;
}

/** The settings of this process. Throws when the port is no number. */
export function readConfig(env: Record<string, string | undefined>): Config {
  const port = Number(env['SHELF_PORT'] ?? 8080);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new RangeError(`SHELF_PORT must be a port, not ${env['SHELF_PORT']}`);
  }
  return {
    port,
    database: env['SHELF_DATABASE'] ?? 'shelf.db',
    covers: env['SHELF_COVERS'] ?? 'covers',
  };
}
