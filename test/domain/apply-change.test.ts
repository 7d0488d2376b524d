import { describe, expect, it } from 'vitest';
import { acceptCreate, actOn, createData, patchData } from '../../src/domain/apply-change.js';
import { AppError, invalid, isAppError } from '../../src/domain/errors.js';
import type { RecordData, RecordType } from '../../src/domain/record-type.js';
import { decisionType } from '../../src/records/decision.js';

const NOW = Date.parse('2026-11-21T08:00:00.000Z');
const context = { id: 'dec_01980000-0000-7000-8000-000000000000', nowMs: NOW, actor: 'ada' };
const body = { decision_type: 'strategic', title: 'Open a second warehouse' };
const create = (type: RecordType, more: object = {}): RecordData =>
  createData(type, acceptCreate(type, { ...body, ...more }, NOW), context);

describe('a change', () => {
  it('by an action that the type does not have is not found', () => {
    const act = () => actOn(decisionType, 'sign', create(decisionType), {}, context);
    expect(act).toThrow(expect.objectContaining({ code: 'record-not-found' }));
  });

  it('by an action in a state that forbids it is refused for that, unless the body is at fault', () => {
    const outcome = (apply: RecordType['actions'][string]['apply'], allowedIn: readonly string[]) => {
      const votes = { ...decisionType.actions['votes'], apply, allowedIn } as RecordType['actions'][string];
      const type: RecordType = { ...decisionType, actions: { votes } };
      try {
        return actOn(type, 'votes', create(type), { agent: 'cfo', vote: 'approve', confidence: 1 }, context);
      } catch (error) {
        return isAppError(error) ? error.code : String(error);
      }
    };
    const full = () => {
      throw new AppError('payload-too-large', 'full');
    };
    const wrong = () => {
      throw invalid([{ pointer: '/agent', detail: 'is nobody' }]);
    };
    const fine = (current: RecordData) => ({ ...current, title: 'Done' });
    expect([full, wrong].map((apply) => outcome(apply, ['queued']))).toEqual([
      'payload-too-large',
      'record-invalid',
    ]);
    expect(outcome(fine, ['queued'])).toMatchObject({ title: 'Done' });
    expect([full, wrong, fine].map((apply) => outcome(apply, ['completed']))).toEqual(['transition-not-allowed', 'record-invalid', 'transition-not-allowed']); // prettier-ignore
  });

  it('of a type without rules of its own is held to its schema alone', () => {
    const { check, settle, transitions, ...rest } = decisionType;
    expect([check, settle, transitions]).not.toContain(undefined);
    const plain: RecordType = rest;
    const done = create(plain, { status: 'completed' });
    const back = patchData(plain, done, { status: 'queued', title: 'Again' }, context);
    expect(back).toMatchObject({ status: 'queued', title: 'Again' });
    expect(() => patchData(plain, done, { status: 'open' }, context)).toThrow(
      expect.objectContaining({ code: 'record-invalid' }),
    );
  });

  it('of a record in a state that nothing is said of is one of a final record', () => {
    const { transitions } = decisionType;
    if (transitions === undefined) throw new Error('decisions have transitions');
    const type: RecordType = { ...decisionType, transitions: { ...transitions, moves: { queued: [] } } };
    const failed = create(type, { status: 'failed' });
    const refused = (patch: object) => {
      try {
        return patchData(type, failed, patch, context);
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    expect(refused({ title: 'x' })).toBe('record-immutable');
    expect(refused({ status: 'queued' })).toBe('transition-not-allowed');
    expect(refused({ metadata: { a: 1 } })).toMatchObject({ metadata: { a: 1 } });
  });

  it('that is refused for several members names them all', () => {
    const patch = { created_at: null, title: 'x', created_by: 'eve' };
    const patched = () => patchData(decisionType, create(decisionType), patch, context);
    expect(patched).toThrow('created_at, created_by');
  });

  it('has the time that it was accepted with, which is now unless the body says when', () => {
    expect(acceptCreate(decisionType, body, NOW).createdMs).toBe(NOW);
    const stated = { ...body, created_at: '2026-01-02T03:04:05+01:00' };
    expect(acceptCreate(decisionType, stated, NOW).createdMs).toBe(Date.UTC(2026, 0, 2, 2, 4, 5));
    const accepted = { ...acceptCreate(decisionType, body, NOW), createdMs: NOW - 5000 };
    expect(createData(decisionType, accepted, context)['created_at']).toBe('2026-11-21T07:59:55.000Z');
  });
});
