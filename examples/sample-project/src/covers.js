/** Cover images: found in a folder, sent to the browser. */
import { createReadStream, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';

const types = {
  '.jpg': 'image/jpeg',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.webp': 'image/webp',
  '.jpg': 'image/jpg',
};

/** Sends the cover that the request names. */
export function sendCover(folder) {
  return (request, response) => {
    const file = join(folder, request.query.name);
    response.setHeader('content-type', types[extname(file)] ?? 'application/octet-stream');
    createReadStream(file).pipe(response);
  };
}

/** Sends the picture for books that have no cover. */
export function sendPlaceholder(path) {
  return (request, response) => {
    const picture = readFileSync(path);
    response.setHeader('content-type', 'image/png');
    response.setHeader('content-length', picture.length);
    response.end(request.method === 'HEAD' ? undefined : picture);
  };
}
