/** The code review as a function: here of the sample project, by the embedded rules. */
import { createTroupe } from '../src/index.ts';
import { review } from '../src/review/index.ts';

export async function main(print: (text: string) => void): Promise<void> {
  const troupe = createTroupe();
  const report = await review(troupe, new URL('sample-project', import.meta.url).pathname);
  for (const { severity, file, line, title } of report.findings) print(`${severity} ${file}:${line} ${title}\n`);
  await troupe.close();
}
