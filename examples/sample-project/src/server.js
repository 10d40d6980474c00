/** The web server. */
import { createServer } from 'node:http';
import { readConfig } from './config.ts';
import { sendCover, sendPlaceholder } from './covers.js';

const config = readConfig(process.env);

const routes = new Map([
  ['/cover', sendCover(config.covers)],
  ['/placeholder', sendPlaceholder(`${config.covers}/none.png`)],
]);

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://localhost');
  request.query = Object.fromEntries(url.searchParams);
  const route = routes.get(url.pathname);
  if (route === undefined) {
    response.statusCode = 404;
    response.end('Not found');
    return;
  }
  route(request, response);
});

server.listen(config.port, () => {
  console.log(`shelf listens on port ${config.port}`);
});
