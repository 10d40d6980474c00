/** Lets the conformance suite load on Node 20, whose `fs` lacks `globSync`: only its checks of repositories call it. */
import { register } from 'node:module';

const files = "export * from 'node:fs'; export { default } from 'node:fs'; export const globSync = () => [];";
const address = `data:text/javascript,${encodeURIComponent(files)}`;
register(
  `data:text/javascript,${encodeURIComponent(`
  export function resolve(specifier, context, next) {
    const isSuite = context.parentURL?.includes('/@modelcontextprotocol/conformance/');
    return specifier === 'fs' && isSuite ? { url: ${JSON.stringify(address)}, shortCircuit: true } : next(specifier, context);
  }
`)}`,
);
