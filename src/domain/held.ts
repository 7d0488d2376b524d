import { EVERY_VALUE, METADATA_SUBJECTS, subjectsOfAll, type SubjectRules } from './subjects.js';

/**
 * What legal holds cover (lifecycle.md, Legal hold): pure, and without any name in clear. Subjects, and fields that are
 * sensitive, are keyed hashes here (`blind-index.ts`), on both sides.
 */

/** What a hold covers, as it is compared. */
export type HeldScope =
  | { readonly kind: 'record'; readonly collection: string; readonly id: string }
  | { readonly kind: 'subject'; readonly subject: string }
  | {
      readonly kind: 'query';
      readonly collection: string;
      /** Inclusive, milliseconds since 1970. */
      readonly fromMs?: number;
      /** Exclusive, milliseconds since 1970. */
      readonly toMs?: number;
      /** Values of filters, all of which a record must have. */
      readonly fields: Readonly<Record<string, string>>;
    };

/** A hold in force. */
export interface ActiveHold {
  readonly holdId: string;
  readonly scope: HeldScope;
}

/** What must be known of a record to tell whether it is held. */
export interface HoldFacts {
  readonly collection: string;
  readonly id: string;
  /** The time in its id, which lists are ordered by; milliseconds since 1970. */
  readonly createdMs: number;
  /** What its row has of the filters of its type. */
  readonly fields: Readonly<Record<string, string>>;
  /** Hashes of all whom it, or an entry of it, is about. Left empty, no hold on a subject covers it. */
  readonly subjects: readonly string[];
}

/** The holds that cover a record: it may be deleted, and what is sealed in it made unreadable, only when there are none. */
export function holdsOn(holds: readonly ActiveHold[], facts: HoldFacts): readonly ActiveHold[] {
  return holds.filter(({ scope }) => covers(scope, facts));
}

export function isHeld(holds: readonly ActiveHold[], facts: HoldFacts): boolean {
  return holds.some(({ scope }) => covers(scope, facts));
}

/** The holds on a subject itself, given as its hash. Holds on records that are about it come on top. */
export function holdsOnSubject(holds: readonly ActiveHold[], subject: string): readonly ActiveHold[] {
  return holds.filter(({ scope }) => scope.kind === 'subject' && scope.subject === subject);
}

function covers(scope: HeldScope, facts: HoldFacts): boolean {
  switch (scope.kind) {
    case 'record':
      return scope.collection === facts.collection && scope.id === facts.id;
    case 'subject':
      return facts.subjects.includes(scope.subject);
    case 'query':
      return (
        scope.collection === facts.collection &&
        (scope.fromMs === undefined || facts.createdMs >= scope.fromMs) &&
        (scope.toMs === undefined || facts.createdMs < scope.toMs) &&
        Object.entries(scope.fields).every(
          ([name, value]) => Object.hasOwn(facts.fields, name) && facts.fields[name] === value,
        )
      );
  }
}

/**
 * Everybody that a record, or an entry of one, names as whom it is about, each once: by the rules of its type or of its
 * parts. Also who is named beside a value that is not there: a hold keeps too much rather than too little.
 */
export function everySubjectOf(data: unknown, rules: SubjectRules = {}): readonly string[] {
  const named = subjectsOfAll(data, {
    [EVERY_VALUE]: [...METADATA_SUBJECTS, ...Object.values(rules).flat()],
  });
  return [...new Set(named)].sort();
}
