import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { isAppError } from '../../src/domain/errors.js';
import type { Caller } from '../../src/security/caller.js';
import { EntraCallers } from '../../src/security/entra-caller.js';
import type { EntraSettings } from '../../src/security/entra-settings.js';
import { fetchJsonWith } from '../../src/security/fetch-json.js';
import { badTokens, type BadToken } from '../support/bad-tokens.js';
import { appClaims, AUDIENCE, CLIENT, LocalIssuer, newSigningKey, OID, OTHER_TID, signed, TID, userClaims, type Claims, type SigningKey } from '../support/local-issuer.js'; // prettier-ignore
import { VirtualClock } from '../support/virtual-clock.js';

const START = Date.UTC(2026, 0, 10, 12);
const USER: Caller = { tenant: 'acme', actor: `user:${OID}`, roles: ['records.reader', 'records.writer'] };
const APP: Caller = { ...USER, actor: `app:${CLIENT}` };

let issuer: LocalIssuer;
let key: SigningKey;
let second: SigningKey;
let foreign: SigningKey;
let clock: VirtualClock;
let callers: EntraCallers;

beforeAll(async () => {
  [key, second, foreign] = (await Promise.all(['one', 'two', 'three'].map(newSigningKey))) as [SigningKey, SigningKey, SigningKey]; // prettier-ignore
  issuer = await LocalIssuer.start(key, second);
});
afterAll(() => issuer.stop());
beforeEach(() => {
  clock = new VirtualClock(START);
  issuer.keys = [key.jwk, second.jwk];
  issuer.asked.length = 0;
  callers = callersWith();
});

function callersWith(changes: Partial<EntraSettings> = {}): EntraCallers {
  return new EntraCallers(
    { fetchJson: fetchJsonWith(fetch), clock, onError: () => undefined },
    {
      authority: issuer.authority,
      audiences: [AUDIENCE, 'api://business-records'],
      tenants: new Map([[TID, ['acme']], [OTHER_TID, ['globex']]]), // prettier-ignore
      tenantClaim: undefined,
      ...changes,
    },
  );
}

const present = (header: string | undefined, to = callers): Promise<Caller> =>
  to.authenticate({ url: 'https://records.example.com/api/decisions', headers: new Headers(header === undefined ? {} : { authorization: header }) }); // prettier-ignore

async function bring(claims: Claims, by = key, to = callers): Promise<Caller> {
  return present(`Bearer ${await signed(claims, by)}`, to);
}
const user = (changes: Claims = {}): Claims => userClaims(issuer.authority, START, changes);
const app = (changes: Claims = {}): Claims => appClaims(issuer.authority, START, changes);

/** The code and the evidence of a refusal. */
async function refused(asked: Promise<Caller>): Promise<readonly unknown[]> {
  const caller = await asked.catch((error: unknown) => error);
  if (!isAppError(caller)) throw new Error(`not refused: ${JSON.stringify(caller)}`);
  return [caller.code, caller.evidence];
}
const because = (reason: string, tenant?: string): readonly unknown[] => [
  'unauthenticated',
  tenant === undefined ? { reason } : { reason, tenant },
];

describe('a token of Entra', () => {
  it('of version 2 is a person with the roles it has', async () => {
    expect(await bring(user())).toEqual(USER);
  });

  it('of version 1 is the same person', async () => {
    const v1 = user({ iss: `https://sts.windows.net/${TID}/`, aud: 'api://business-records', ver: '1.0', azp: undefined, appid: CLIENT, upn: 'ada@example.com' }); // prettier-ignore
    expect(await bring(v1)).toEqual(USER);
  });

  it('of an application that calls for itself is the application, of either version', async () => {
    expect(await bring(app())).toEqual(APP);
    const v1 = app({ iss: `https://sts.windows.net/${TID}/`, azp: undefined, appid: CLIENT, idtyp: 'app' });
    expect(await bring(v1)).toEqual(APP);
  });

  it('is for the tenant that its Entra tenant stands for', async () => {
    const other = user({ tid: OTHER_TID, iss: `${issuer.authority}/${OTHER_TID}/v2.0` });
    expect(await bring(other)).toEqual({ ...USER, tenant: 'globex' });
  });

  it.each([
    ['roles nobody knows', { roles: ['admin', 'records', 'Records.Reader'] }],
    ['no roles', { roles: undefined }],
    ['roles that are no list', { roles: 'records.reader' }],
    ['a scope called like a role', { roles: [], scp: 'records.reader records.operator' }],
    ['groups and directory roles', { roles: [], groups: ['records.reader'], wids: ['records.reader'] }],
  ])('with %s may do nothing', async (_, changes) => {
    expect(await bring(user(changes))).toEqual({ ...USER, roles: [] });
  });

  it('is taken whatever the letters of the scheme', async () => {
    const token = await signed(user(), key);
    for (const scheme of ['Bearer', 'bearer', 'BEARER'])
      expect(await present(`${scheme} ${token}`)).toEqual(USER);
  });

  it('is checked with the published key whatever its header says of keys, and nobody is asked', async () => {
    const header = {
      jwk: foreign.jwk,
      jku: `${issuer.authority}/attacker`,
      x5u: `${issuer.authority}/attacker`,
    };
    expect(await present(`Bearer ${await signed(user(), key, header)}`)).toEqual(USER);
    expect(issuer.asked.filter((path) => path.includes('attacker'))).toEqual([]);
  });
});

describe('several tenants of one Entra tenant', () => {
  const several = (): EntraCallers =>
    callersWith({ tenants: new Map([[TID, ['acme', 'globex']]]), tenantClaim: 'extn.recordsTenant' });
  it('are told apart by a claim', async () => {
    for (const tenant of ['acme', 'globex'])
      expect(await bring(user({ 'extn.recordsTenant': tenant }), key, several())).toEqual({
        ...USER,
        tenant,
      });
  });

  it.each([undefined, '', 'initech', 'ACME', ['acme'], '_system', 'acme,globex'])(
    'are none of them with the claim %j',
    async (claim) => {
      const bad = bring(user({ 'extn.recordsTenant': claim }), key, several());
      expect(await refused(bad)).toEqual(because('tenant'));
    },
  );

  it('are not those of another Entra tenant', async () => {
    const tenants = new Map([[TID, ['acme']], [OTHER_TID, ['globex']]]); // prettier-ignore
    const mixed = callersWith({ tenants, tenantClaim: 'records' });
    expect(await refused(bring(user({ records: 'globex' }), key, mixed))).toEqual(because('tenant'));
    expect(await refused(bring(user({ records: 'globex', exp: 1 }), key, mixed))).toEqual(because('expired'));
  });
});

describe('a bad token', () => {
  it('is refused for what is wrong with it, whatever that is', async () => {
    const table = await badTokens({ issuer, key, second, foreign, nowMs: START });
    const found = [];
    for (const { name, header } of table) found.push([name, ...(await refused(present(header)))]);
    const expected = ({ name, reason, proven }: BadToken): readonly unknown[] => [name, ...because(reason, proven && 'acme')]; // prettier-ignore
    expect(found).toEqual(table.map(expected));
    expect(issuer.asked.filter((path) => path.includes('attacker'))).toEqual([]);
  });

  it('is told nothing of why', async () => {
    const table = await badTokens({ issuer, key, second, foreign, nowMs: START });
    const messages = await Promise.all(
      table.map(({ header }) => present(header).catch((error: unknown) => (error as Error).message)),
    );
    expect(new Set(messages)).toEqual(new Set(['The request carries no valid credentials.']));
  });

  it('makes us fetch no keys when it is not of a tenant that may sign in', async () => {
    const token = user({ tid: CLIENT, iss: `${issuer.authority}/${CLIENT}/v2.0` });
    expect(await refused(bring(token, foreign))).toEqual(because('tenant'));
    expect(issuer.asked).toEqual([]);
  });
});

describe('time', () => {
  const seconds = START / 1000;
  it('may differ by a minute', async () => {
    expect(await bring(user({ exp: seconds - 59 }))).toEqual(USER);
    expect(await refused(bring(user({ exp: seconds - 60 })))).toEqual(because('expired', 'acme'));
    expect(await bring(user({ nbf: seconds + 60 }))).toEqual(USER);
    expect(await refused(bring(user({ nbf: seconds + 61 })))).toEqual(because('not-yet-valid', 'acme'));
  });

  it('ends a token that was found good, also one that is remembered', async () => {
    const header = `Bearer ${await signed(user({ exp: seconds + 120 }), key)}`;
    expect(await present(header)).toEqual(USER);
    await clock.advance(179_999);
    expect(await present(header)).toEqual(USER);
    await clock.advance(1);
    expect(await refused(present(header))).toEqual(because('expired', 'acme'));
  });
});
