/** The faults of every protocol, which are published: see `src/testing/http-faults.ts`. */
export { type Dialect, httpFaults } from '../../src/testing/http-faults.ts';
