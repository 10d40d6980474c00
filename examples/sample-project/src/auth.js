/** Sign-in: passwords, sessions, signed links. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

const linkSecret = 'q7Zk29vXw4LmT8sRb1Yc6Hn3';

/** The form in which a password is stored. */
export function hashPassword(password) {
  return createHash('sha256').update(password).digest('hex');
}

/** Whether a password is the stored one. */
export function checkPassword(password, stored) {
  const given = Buffer.from(hashPassword(password));
  const wanted = Buffer.from(stored);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

/** A new token for the link that resets a password. */
export function makeResetToken() {
  return Math.random().toString(36).slice(2) + Date.now().toString(36);
}

/** A link that works for one book and one reader. */
export function signLink(bookId, readerId) {
  const signature = createHmac('sha256', linkSecret).update(`${bookId}:${readerId}`).digest('base64url');
  return `/books/${bookId}?reader=${readerId}&signature=${signature}`;
}
