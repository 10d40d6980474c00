/** Loans: who has which book. */

export interface Loan {
  readonly bookId: string;
  readonly readerId: string;
  readonly since: string;
  readonly returned?: string;
}

export interface Reader {
  readonly id: string;
  readonly name: string;
  readonly mail: string;
}

/** Loads one reader. */
export type LoadReader = (id: string) => Promise<Reader | undefined>;

/** Loans that are not returned yet. */
export function openLoans(loans: readonly Loan[]): Loan[] {
  return loans.filter((loan) => loan.returned === undefined);
}

/** Each open loan with the name of its reader. */
export function withReaders(loans: readonly Loan[], readers: readonly Reader[]): { loan: Loan; name: string }[] {
  return openLoans(loans).map((loan) => {
    const reader = readers.find((one) => one.id === loan.readerId);
    return { loan, name: reader?.name ?? 'somebody' };
  });
}

/** The readers of these loans, loaded from wherever they are. */
export async function loadReaders(loans: readonly Loan[], loadReader: LoadReader): Promise<Reader[]> {
  const readers: Reader[] = [];
  for (const loan of loans) {
    const reader = await loadReader(loan.readerId);
    if (reader !== undefined) readers.push(reader);
  }
  return readers;
}

/** Open loans by reader. */
export function byReader(loans: readonly Loan[]): Map<string, Loan[]> {
  const groups = new Map<string, Loan[]>();
  for (const loan of openLoans(loans)) {
    const group = groups.get(loan.readerId);
    if (group === undefined) groups.set(loan.readerId, [loan]);
    else group.push(loan);
  }
  return groups;
}
