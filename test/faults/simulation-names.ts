/** What can go wrong in a schedule. Each is counted when it does, and simulation.test.ts fails if one never does. */
export const FAULTS = [
  'lost',
  'lost-answer',
  'late',
  'crash-before',
  'crash-after',
  'happened after its host died',
  'host frozen',
  'clock skew',
  'clock jump',
  'range read in pieces',
  'short page',
  'request sent twice at once',
  'reader asleep',
  'writer asleep',
  'writer asleep for days',
  'sealer asleep',
  'collector asleep',
] as const;

/** What processes and clients do only because something went wrong before, or because somebody else was there first. */
export const BRANCHES = [
  // Clients.
  'a client had no answer',
  'a client was told that storage does not answer',
  'a client was told that its first request still runs',
  'a client was refused for what the record had become',
  'an answer was given again',
  'a process was replaced',
  // A write.
  'a detail blob was there already',
  'a commit without an answer happened',
  'a commit without an answer did not happen',
  'a commit without an answer lost to another',
  'a create took the place of a void row',
  'an actor was named by another',
  // A key.
  'a key was reserved before',
  'a key was taken over',
  'a key was taken over by another',
  'a key was opened after a refusal, or expired',
  'a commit under a key lost to another',
  // A promise.
  'a message was delivered again',
  'a message was taken by another meanwhile',
  'a message was set aside',
  'an operation was ended by another delivery',
  // Sealing.
  'somebody else was sealing',
  'pending rows read twice',
  'a stage was there already',
  'the commit of a head was lost',
  'a stage was finished by another round',
  'the stage of a head was gone',
  'a stream was there already',
  'a stream was rolled',
  'a stream was sealed already',
  'lines were there already',
  'index rows were there already',
  'pending rows were gone already',
  'an old stage was deleted',
  'a tile was there already',
  'a checkpoint was signed by others as well',
  'a partial tile was deleted',
  // Sweeping.
  'a dirty row was removed',
  'a dirty row was announced again',
  'only the daily check found pending events',
  'a job was done by another process',
  'an id was fenced off',
  'a record was fenced',
  'a fence was not needed',
  'an orphan was collected',
  'a pack was collected',
  'data of the inbox was collected',
] as const;

/** What years bring (years.ts), and how often at least in the schedules of the test run: about half of what it is. */
export const LIVES = {
  'to cool': 20,
  'to archive': 12,
  'brought back': 8,
  'disposed by retention': 150,
  'disposed by erasure': 3,
  'history cut': 17,
  'key destroyed': 10,
  erased: 10,
  certified: 15,
  'kept by a hold': 10,
} as const;

/** Correlation id of events that were in a log before the schedule began. */
export const BEFORE = 'before';

export type FaultName = (typeof FAULTS)[number];
export type BranchName = (typeof BRANCHES)[number];
export type LifeName = keyof typeof LIVES;
export type CounterName =
  `life: ${LifeName}` | `fault: ${FaultName}` | `branch: ${BranchName}` | `job: ${string}` | `act: ${string}`;
