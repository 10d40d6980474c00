/** `--auto`: the backend that a prompt goes to, among all that `troupe doctor` finds on this machine, and why. */
import type { DiscoverOptions } from '../../actors/discover.ts';
import { type Candidate, candidateOf } from '../core/candidate.ts';
import { type BackendRow, backendCatalog } from '../core/catalog.ts';
import { type BackendChoice, type ChoiceRequest, chooseBackend } from '../core/choice.ts';
import { type Diagnosis, diagnose } from './diagnosis.ts';
import { oneLine } from './terminal.ts';

/** Chooses. Throws `TROUPE_ERR_BACKEND_NONE_FITS`. */
export async function autoBackend(request: ChoiceRequest, options: DiscoverOptions = {}): Promise<BackendChoice> {
  const found = await diagnose(options);
  return chooseBackend(request, found.flatMap(candidatesOf));
}

/** What was chosen and why, in lines. */
export function explanation({ backend, model, score, reasons, rejected }: BackendChoice): string {
  return [
    `${backend}, ${oneLine(model)}`,
    `score ${score}`,
    ...reasons.map((reason) => `  ${oneLine(reason)}`),
    ...(rejected.length === 0 ? [] : ['rejected']),
    ...rejected.map(({ backend: name, model: id, why }) => `  ${name}, ${oneLine(`${id}: ${why}`)}`),
  ].join('\n');
}

/** One for each model that a server shows and that can chat; for any other backend the one that it uses unasked. */
function candidatesOf({ backend, state, found, models }: Diagnosis): Candidate[] {
  const info: BackendRow = backendCatalog[backend];
  const variable = info.variables.model === undefined ? undefined : process.env[info.variables.model];
  const unasked = { id: variable || (info.model ?? 'its first model') };
  const chatting = models?.filter(({ id }) => !/embed/i.test(id)) ?? [unasked];
  const unavailable = state === 'ready' ? undefined : found;
  return chatting.map(({ id: model, ...facts }) =>
    candidateOf({ backend: { kind: backend, model, info }, facts, unavailable }),
  );
}
