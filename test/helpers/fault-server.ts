/** The server of faults, which is published: see `src/testing/fault-server.ts`. */
export { type Exchange, type Fault, type FaultServer, faultServer } from '../../src/testing/fault-server.ts';
