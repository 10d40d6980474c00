/** What a late return costs, in cents. */

export type Kind = 'book' | 'magazine' | 'game' | 'tool';

const freeDays = 28;

/** The fee for a thing of some kind that was kept for some days. */
export function fee(kind: Kind, days: number): number {
  const late = Math.max(0, days - freeDays);
  let perDay = 10;
  switch (kind) {
    case 'magazine':
      perDay = 5;
      break;
    case 'game':
      perDay = 20;
    case 'tool':
      perDay = 50;
      break;
    default:
      break;
  }
  return late * perDay;
}

/** A fee as people write it: `1.20 EUR`. */
export function formatFee(cents: number): string {
  return `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')} EUR`;
}
