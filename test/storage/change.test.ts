import { describe, expect, it } from 'vitest';
import { AppError, ERROR_CODES } from '../../src/domain/errors.js';
import type { RecordData } from '../../src/domain/record-type.js';
import { decisionType } from '../../src/records/decision.js';
import {
  actionChange,
  assertPrecondition,
  isDefiniteRefusal,
  patchChange,
  type Change,
} from '../../src/storage/change.js';
import { revisionEtag } from '../../src/storage/etag.js';
import type { RecordRow } from '../../src/storage/record-row.js';

const row = { revision: 3, eventId: 'evt_1' } as RecordRow;
const queued: RecordData = { status: 'queued', title: 'T' };
const failed: RecordData = { status: 'failed', title: 'T' };

describe('what a change is called in the audit trail', () => {
  it('is a patch of these members, and the move of the status where it moved', () => {
    const { name } = patchChange(decisionType, { title: 'x', status: 'failed', metadata: null }, undefined);
    expect(name(queued, failed)).toEqual({
      eventType: 'record.updated',
      action: 'patch',
      details: { changed: ['metadata', 'status', 'title'], status: { from: 'queued', to: 'failed' } },
    });
    expect(name(queued, queued).details).toEqual({ changed: ['metadata', 'status', 'title'] });
  });

  it('is the verb of the action, and the move of the status where it moved', () => {
    const { name } = actionChange(decisionType, 'votes', {}, undefined);
    expect(name(queued, queued)).toEqual({ eventType: 'record.action', action: 'vote', details: {} });
    expect(name(queued, failed).details).toEqual({ status: { from: 'queued', to: 'failed' } });
    // An action that does not exist is refused when it is applied; until then it is called as it was asked for.
    expect(actionChange(decisionType, 'sign', {}, undefined).name(queued, queued).action).toBe('sign');
  });

  it('says nothing of moves where the type has none', () => {
    const { transitions, ...plain } = decisionType;
    expect(transitions).toBeDefined();
    expect(actionChange(plain, 'votes', {}, undefined).name(queued, failed).details).toEqual({});
  });
});

describe('the precondition of a change', () => {
  const patch = (ifMatch: string | undefined): Change => patchChange(decisionType, {}, ifMatch);
  const act = (ifMatch: string | undefined): Change => actionChange(decisionType, 'votes', {}, ifMatch);
  const refused = (code: string, evidence = {}) => expect.objectContaining({ code, evidence }) as Error;

  it('is needed by a PATCH, and held by both where it is sent', () => {
    const etag = revisionEtag(3, 'evt_1');
    for (const change of [patch(etag), act(etag), act(undefined), patch('*')])
      expect(() => assertPrecondition(row, change)).not.toThrow();
    expect(() => assertPrecondition(row, patch(undefined))).toThrow(refused('precondition-required'));
    for (const change of [patch('"old"'), act('"old"'), act('')])
      expect(() => assertPrecondition(row, change)).toThrow(refused('version-conflict', { revision: 3 }));
  });
});

describe('a definite refusal', () => {
  it('is one after which nothing was stored', () => {
    const definite = ERROR_CODES.filter((code) => isDefiniteRefusal(new AppError(code, 'no')));
    expect([...definite].sort()).toEqual([
      'payload-too-large',
      'precondition-required',
      'record-archived',
      'record-exists',
      'record-immutable',
      'record-invalid',
      'record-not-found',
      'transition-not-allowed',
      'version-conflict',
    ]);
    expect(isDefiniteRefusal(new Error('no'))).toBe(false);
  });
});
