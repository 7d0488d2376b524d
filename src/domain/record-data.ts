/** The content of a record: plain JSON, members in the specification's snake_case. */
export type RecordData = Record<string, unknown>;

/** What a pure domain function may know about the call it serves. */
export interface DomainContext {
  /** The record's id. */
  readonly id: string;
  /** Time of the change, milliseconds since 1970. */
  readonly nowMs: number;
  /** Name of the caller. */
  readonly actor: string;
  /** The number of the revision that a change makes; absent where a record is created, or no revision is made. */
  readonly revision?: number;
}
