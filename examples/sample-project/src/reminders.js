/** Reminders by mail. */
import { fee, formatFee } from './fees.ts';

/** Sends a reminder for each late loan and gives the number of mails that went out. */
export async function remind(loans, mailer) {
  const sent = await Promise.all(loans.map((loan) => sendOne(loan, mailer)));
  return sent.filter(Boolean).length;
}

async function sendOne(loan, mailer) {
  if (loan.reminders == '0') return false;
  try {
    await mailer.send(loan.mail, subjectOf(loan));
    return true;
  } catch (error) {}
  return false;
}

function subjectOf({ title, kind, days }) {
  const cents = fee(kind, days);
  return cents === 0 ? `Please return "${title}"` : `"${title}" is late: ${formatFee(cents)}`;
}
