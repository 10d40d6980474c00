/** The contract: what every backend must do, case by case. */
import { answerCases } from './answer-cases.ts';
import type { Case } from './case.ts';
import { embedCases } from './embed-cases.ts';
import { failureCases } from './failure-cases.ts';
import { lifeCases } from './life-cases.ts';
import { toolCases } from './tool-cases.ts';
import type { World } from './worlds.ts';

/** A case in a world: to be run, or the reason why it cannot be. */
export interface CaseInWorld {
  readonly name: string;
  readonly cannot: string | undefined;
  readonly run: () => Promise<void>;
}

const cases: readonly Case[] = [...answerCases, ...toolCases, ...lifeCases, ...failureCases, ...embedCases];

/** All cases as they are in one world. */
export function contractCases(world: World): readonly CaseInWorld[] {
  return cases.map(({ name, needs, cannot, run }) => {
    const lacking = needs.map((need) => world.lacks[need]).find((reason) => reason !== undefined);
    return { name, cannot: lacking ?? cannot?.(world), run: () => run(world) };
  });
}
