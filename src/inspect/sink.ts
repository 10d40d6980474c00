/** Where messages go: the contract between an inspection and whoever looks. */
import type { Troupe } from '../runtime/troupe.ts';
import type { InspectMessage, InspectSnapshot } from './messages.ts';

/** Takes messages. What it throws is dropped; it must not wait. */
export interface Sink {
  /**
   * Called once, when it joins. A sink that looks only at times says so by `feed.want`; one without this looks always.
   */
  join?(feed: Feed): void;
  write(message: InspectMessage): void;
  /** Called once, when the inspection stops. */
  close?(): Promise<void> | void;
}

/** What a sink gets to know of its inspection. */
export interface Feed {
  readonly troupe: Troupe;
  /** Says whether the sink wants messages from now on. A troupe is watched only while a sink wants them. */
  want(wanted: boolean): void;
  snapshot(): InspectSnapshot;
}
