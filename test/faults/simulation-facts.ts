import { AppError, isAppError } from '../../src/domain/errors.js';
import type { Act, Answer, Told } from './simulation-acts.js';
import { Lost } from './simulation-host.js';
import { TypeFacts } from './simulation-type-facts.js';

/** What is known of an act: `done` and `refused` are certain, `unknown` may be either, but one of the two for ever. */
export interface ActState {
  readonly act: Act;
  readonly beganMs: number;
  state: 'unknown' | 'done' | 'refused';
  answer: Answer | undefined;
  /** Why it was refused. */
  code: string | undefined;
}

/** A record as its clients know it. */
export interface KnownRecord {
  readonly id: string;
  readonly tenant: string;
  /** The latest revision that anybody was told of. */
  last: Told;
}

/**
 * What clients were told, and what that obliges the platform to. Whatever contradicts it at once is a violation at
 * once; what only storage can show is judged in the end (simulation-verdict.ts).
 */
export class Facts {
  readonly acts = new Map<string, ActState>();
  readonly records = new Map<string, KnownRecord>();
  /** By `<id> <revision>`. */
  readonly revisions = new Map<string, Told>();
  /** The same of every type but decisions. */
  readonly types = new TypeFacts();
  readonly violations: string[] = [];
  /** Whether something was damaged on purpose, so that findings in the log are true. */
  damaged = false;

  begin(act: Act, beganMs: number): ActState {
    const state: ActState = { act, beganMs, state: 'unknown', answer: undefined, code: undefined };
    this.acts.set(act.name, state);
    return state;
  }

  answered(state: ActState, answer: Answer): void {
    const { act } = state;
    if (state.state === 'refused') this.violate(`${act.name} was refused (${state.code}) and then done`);
    const before = state.answer;
    if (
      before !== undefined &&
      (before.operation !== answer.operation || !sameTold(before.told, answer.told))
    )
      this.violate(`${act.name} was answered twice, differently`);
    state.state = 'done';
    state.answer ??= answer;
    for (const told of answer.told) this.told(act.tenant, told);
  }

  refused(state: ActState, error: AppError): void {
    if (state.state === 'done')
      this.violate(`${state.act.name} was done and then refused with ${error.code}`);
    state.state = 'refused';
    state.code = error.code;
  }

  /** Somebody was told of a revision: from now on it is that and no other. */
  told(tenant: string, told: Told): void {
    const key = `${told.id} ${told.revision}`;
    const before = this.revisions.get(key);
    if (
      before !== undefined &&
      (before.checksum !== told.checksum ||
        before.storedAt !== told.storedAt ||
        differs(before.etag, told.etag))
    )
      this.violate(`revision ${key} was told of twice, differently`);
    this.revisions.set(key, { ...told, etag: told.etag ?? before?.etag });
    const known = this.records.get(told.id);
    if (known === undefined) this.records.set(told.id, { id: told.id, tenant, last: told });
    else if (known.tenant !== tenant) this.violate(`${told.id} of ${known.tenant} was shown to ${tenant}`);
    else if (
      told.revision > known.last.revision ||
      (known.last.etag === undefined && told.revision === known.last.revision)
    )
      known.last = told;
  }

  /** An error that no fault of storage excuses. */
  judge(what: string, error: unknown, allowed: readonly string[]): void {
    if (error instanceof Lost || (isAppError(error) && allowed.includes(error.code))) return;
    const said =
      error instanceof AppError ? `${error.code} ${JSON.stringify(error.evidence)}` : String(error);
    this.violate(
      `${what} failed with ${said}${error instanceof Error && !isAppError(error) ? ` ${error.stack ?? ''}` : ''}`,
    );
  }

  violate(what: string): void {
    this.violations.push(what);
  }
}

function differs(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && b !== undefined && a !== b;
}

function sameTold(one: readonly Told[], other: readonly Told[]): boolean {
  return (
    one.length === other.length &&
    one.every(({ id, revision, checksum }, at) => {
      const twin = other[at];
      return twin?.id === id && twin.revision === revision && twin.checksum === checksum;
    })
  );
}
