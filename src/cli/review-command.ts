/** `troupe review <path>`. */
import { review } from '../review/index.ts';
import type { Troupe } from '../runtime/troupe.ts';
import { type BackendFlags, chooseBackend } from './choose-backend.ts';
import { type InspectFlags, inspected } from './inspecting.ts';
import { onTroupe, type Stop } from './interrupt.ts';
import { progressOn } from './progress.ts';
import { reviewText } from './review-text.ts';

export interface ReviewFlags extends BackendFlags, InspectFlags {
  readonly expertBackend?: string;
  readonly expertModel?: string;
  readonly timeout: number;
  readonly json?: true;
}

/** Runs the review and prints it; gives the exit code: 1 when an agent failed. */
export async function reviewCommand(path: string, flags: ReviewFlags): Promise<number> {
  const { backend, model, backends } = await chooseBackend(flags);
  const { expertBackend, expertModel, timeout, json } = flags;
  const work = async (troupe: Troupe, stop: Stop) => {
    const progress = progressOn(process.stderr);
    const report = await review(troupe, path, {
      backend,
      ...(model !== undefined && { model }),
      ...(expertBackend !== undefined && { expertBackend }),
      ...(expertModel !== undefined && { expertModel }),
      timeoutMs: timeout * 1000,
      signal: stop.now,
      onProgress: (agent, event) => progress.tell(agent, event),
    });
    progress.end();
    process.stdout.write(json ? `${JSON.stringify(report, undefined, 2)}\n` : `\n${reviewText(report)}`);
    return report.agents.some(({ error }) => error !== undefined) ? 1 : 0;
  };
  return onTroupe({ backends }, inspected(flags, work));
}
