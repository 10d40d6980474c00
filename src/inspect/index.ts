/** troupe/inspect: see what agents do, live in a browser or from a recording, and draw their machines. */
export type { RedactOption } from './content.ts';
export { type DrawnEdge, type DrawnState, drawMachine, type MachineDrawing } from './drawing.ts';
export { type Inspection, type InspectOptions, inspectTroupe } from './inspect-troupe.ts';
export { type MemorySink, memorySink } from './memory-sink.ts';
export { type MermaidOptions, machineToMermaid } from './mermaid.ts';
export {
  type AgentView,
  type CallKey,
  type CallResult,
  type ContentLevel,
  type Detail,
  type ErrorView,
  type InspectMessage,
  type InspectSnapshot,
  supervisorName,
  type Tokens,
  type ToolKey,
} from './messages.ts';
export { otelSink } from './otel-sink.ts';
export { type JsonlSinkOptions, jsonlSink, type Recording, readRecording, replay } from './recording.ts';
export { type InspectorServer, type ServeInspectorOptions, serveInspector } from './server.ts';
export type { Feed, Sink } from './sink.ts';
export { type StatelySink, type StatelySinkOptions, statelySink } from './stately-sink.ts';
