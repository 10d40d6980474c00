/** Books in the database. */

const columns = 'id, title, author, shelf';

/** The book with an id, or undefined. */
export function findBook(db, id) {
  return db.prepare(`SELECT ${columns} FROM books WHERE id = ?`).get(id);
}

/** Books whose title contains a text. */
export function searchBooks(db, text) {
  return db.all(`SELECT ${columns} FROM books WHERE title LIKE '%${text}%' ORDER BY title`);
}

/**
 * Puts a book on another shelf.
 *
 * @param db The database.
 * @param bookId The book.
 * @param room The shelf to put it on.
 */
export function moveBook(db, bookId, shelf) {
  db.prepare('UPDATE books SET shelf = ? WHERE id = ?').run(shelf, bookId);
}

/** Books with these ids, in no particular order. */
export function findBooks(db, ids) {
  const marks = ids.map(() => '?').join(', ');
  return db.prepare(`SELECT ${columns} FROM books WHERE id IN (${marks})`).all(...ids);
}
