/** `troupe export NAME`: a kept agent as lines of JSON. */
import { type KeptRecord, keptFormat } from './kept-records.ts';
import { type StoreFlags, storedAgent, withStore } from './kept-store.ts';
import { jsonText, note, oneLine } from './terminal.ts';

/** Prints the agent; the exit code is 0. */
export async function exportCommand(name: string, flags: StoreFlags): Promise<number> {
  const { records, openAsks } = await withStore(flags, async (store) => {
    const { parent: _flat, ...agent } = await storedAgent(store, name);
    const groups = await store.groups(name);
    const view = await store.view(name);
    const asks = await store.asks(name);
    const written: KeptRecord[] = [
      { record: 'header', ...keptFormat, groups: groups.length },
      { record: 'agent', ...agent },
      ...groups.map((messages) => ({ record: 'group' as const, messages })),
      ...(view === undefined ? [] : [{ record: 'view' as const, ...view }]),
    ];
    return { records: written, openAsks: asks.filter(({ outcome }) => outcome === undefined).length };
  });
  for (const record of records) process.stdout.write(`${jsonText(record)}\n`);
  if (openAsks > 0) note(`${oneLine(name)} has open asks, which are not exported: \`troupe resume\` answers them.`);
  return 0;
}
