/** The request of Ollama's `/api/chat`: our words to its JSON. */
import { type JsonObject, type Message, type ModelParameters, setting } from '../../src/core/types.ts';
