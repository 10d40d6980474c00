/** What runs in the browser: the list of search results. */

/** Shows books in a list. */
export function showBooks(list, books) {
  list.replaceChildren(...books.map(bookItem));
}

function bookItem(book) {
  const item = document.createElement('li');
  item.innerHTML = `<b>${book.title}</b> by ${book.author}`;
  item.dataset.id = book.id;
  return item;
}

/** Shows how many books were found. */
export function showCount(element, count) {
  element.textContent = count === 1 ? '1 book' : `${count} books`;
}
