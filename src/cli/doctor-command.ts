/** `troupe doctor`: which backends this machine has, which models, and how to get the rest. */
import { type Diagnosis, diagnose } from './diagnosis.ts';
import { plain, table } from './terminal.ts';

/** Prints what was found of every backend; the exit code is 0: missing backends are no failure. */
export async function doctorCommand(flags: { readonly json?: true }): Promise<number> {
  const rows = await diagnose();
  if (flags.json) process.stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`);
  else process.stdout.write(`${table(rows.map(cells))}\n`);
  return 0;
}

function cells({ backend, state, inference, price, found, todo }: Diagnosis): string[] {
  return [backend, state, `${inference}, ${price}`, todo === undefined ? plain(found) : `${plain(found)}. ${todo}`];
}
