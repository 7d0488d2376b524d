import { fsckTenant } from '../../src/audit/fsck/fsck.js';
import { verifyEventProof } from '../../src/audit/verifier/event-proof.js';
import type { Platform } from '../../src/platform.js';
import { KEYS_TABLE } from '../../src/security/keys/key-rows.js';
import { SUBJECTS_TABLE } from '../../src/storage/subject-rows.js';
import { TEST_LOG_KEYS } from '../support/log-keys.js';
import { servedFaults } from '../support/log-watch.js';
import type { StorageContents } from '../support/memory-ports.js';
import { PassingClock } from '../support/passing-clock.js';
import { violationsOf } from './invariants.js';
import type { Survey, SurveyedRevision } from './invariants-survey.js';
import { START_MS } from './simulation-host.js';
import type { Scene } from './years-clients.js';
import { callOf, HOUR, lastTold, type Erasing, type Kept } from './years-facts.js';
import { TENANTS } from './years-past.js';

/** An event, and the proof of it that somebody took home. */
export interface Proof {
  readonly tenant: string;
  readonly id: string;
  readonly event: string;
  readonly proof: string;
}

/**
 * What leads to a subject who is said to be erased: the key that was to be destroyed, and what is older than its destruction,
 * or where there was none than the erasure. Who uses the name again meanwhile, as with a hold, is somebody else (docs/erasure.md).
 */
export function leftOf({ rows }: StorageContents, { tenant, subject, actor, keyId, begunMs }: Erasing): readonly string[] {
  const own = rows.filter(({ row }) => row.partitionKey.startsWith(`${tenant}:`));
  const key = own.find(({ table, row }) => table === KEYS_TABLE && row.rowKey === `k:${keyId}`)?.row;
  if (keyId !== '' && key?.properties['destroyed_at'] === undefined) return [`${KEYS_TABLE} k:${keyId}`];
  const sinceMs = key?.timestampMs ?? begunMs;
  return own.flatMap(({ table, row: { rowKey, properties, timestampMs } }) => {
    const opens = table === KEYS_TABLE && rowKey === `s:${subject}` && properties['data_key'] !== '';
    const named = table === 'actors' && rowKey === `n:${actor}`;
    const indexed = table === SUBJECTS_TABLE && rowKey.startsWith(`s:${subject}:`);
    const again = timestampMs >= sinceMs && !(opens && properties['data_key'] === keyId);
    return (opens || named || indexed) && !again ? [`${table} ${rowKey}`] : [];
  });
} // prettier-ignore

/** Everything must hold once years have passed and nothing is left to do; what was held in the end was kept. */
export async function verdictOf(
  scene: Scene,
  platform: Platform,
  proofs: readonly Proof[],
): Promise<string[]> {
  const { world, watch } = scene;
  const contents = world.storage.contents();
  const { survey, violations } = violationsOf(contents, { collected: true });
  // Of who was erased a pseudonym is left that is nobody's.
  const found: string[] = violations.filter(
    (one) => watch.erased.size === 0 || !/ is by nobody | pseudonyms$/.test(one),
  );
  found.push(...servedFaults(world.logs, (tenant) => (survey.log.get(tenant) ?? []).map(({ text }) => text)));
  for (const kept of watch.records.values())
    found.push(...(watch.gone.has(kept.id) ? goneViolations(survey, kept) : thereViolations(scene, survey, kept))); // prettier-ignore
  found.push(...eventViolations(scene, survey), ...(await proofViolations(platform, proofs)));
  for (const { id, tenant, person } of [...scene.erasures].map(([id, of]) => ({ id, ...of }))) {
    const { state, waiting_for: waits } = await platform.erasures.get(id, callOf(tenant, 'olga', 'end'));
    const ended = state === 'complete' || state === 'unknown-subject';
    if (!ended && !(waits === 'hold' && isHeldBack(scene, tenant, person))) found.push(`the erasure of ${person} ends as ${state}, waiting for ${String(waits)}`); // prettier-ignore
  }
  await fsckTenant(
    { ...platform.fsck, clock: new PassingClock(START_MS + world.timeline.nowMs + HOUR), open: false },
    TENANTS[0],
    {
      repair: false,
      report: ({ code, where, detail, level }) => level === 'error' && found.push(`fsck: ${code} ${where} ${detail}`), // prettier-ignore
      progress: () => undefined,
    },
  );
  return found;
}

function isHeldBack({ watch }: Scene, tenant: string, person: string): boolean {
  const own = [...watch.records.values()].filter((kept) => kept.tenant === tenant && kept.people.includes(person)); // prettier-ignore
  return own.some((kept) => watch.holds(kept));
}

/** Of what is gone nothing is left but what says so. */
function goneViolations({ contents }: Survey, { id, type }: Kept): readonly string[] {
  const allowed = [`${type.table} r:${id}`, `lookups r:${id}`, `${type.parts?.table ?? ''} h:${id}`];
  const named = contents.rows
    .filter(({ row }) => row.rowKey.includes(id) || row.partitionKey.includes(id))
    .filter(({ table }) => table !== 'auditevents' && table !== SUBJECTS_TABLE)
    .map(({ table, row }) => `${table} ${row.rowKey}`);
  const blobs = contents.blobs.map(({ name }) => name).filter((name) => name.includes(id));
  const left = [...named.filter((name) => !allowed.includes(name)), ...blobs];
  return left.length === 0 ? [] : [`${id} is gone, and there is ${left.join(', ')}`];
}

/** What is there is there because its time is not over or because it is held, and all that was told of it is so. */
function thereViolations({ watch, world }: Scene, survey: Survey, kept: Kept): readonly string[] {
  const { id, type } = kept;
  const found: string[] = [];
  const record = survey.records.get(id);
  const isArchived = record?.revisions.some(({ row }) => row.properties['tier'] === 'archive') === true;
  const held = watch.holds(kept) || (isArchived && watch.holdsSomebody(kept.tenant));
  if (held) world.counters.add('life: kept by a hold');
  if (kept.sinceMs !== undefined && !held) found.push(`${id} is past its time, and still there`);
  const from = Number(record?.row?.properties['history_from'] ?? 1);
  const revisions = new Map<number, SurveyedRevision>(record?.revisions.map((one) => [one.revision, one]));
  for (let revision = from; revision <= lastTold(kept); revision += 1) {
    const stored = revisions.get(revision);
    if (stored?.data === undefined) found.push(`${id} revision ${String(revision)} was acknowledged and is lost`); // prettier-ignore
    const told = kept.told.get(revision);
    if (type.parts === undefined && told !== undefined && stored !== undefined && stored.checksum !== told)
      found.push(`${id} revision ${String(revision)} is not what was acknowledged`);
  }
  return found;
}

/** Each disposal has one event and each event its disposal; certificates tell of no more than there was. */
function eventViolations({ watch }: Scene, { log }: Survey): readonly string[] {
  const found: string[] = [];
  const told = new Map<string, number>();
  let [certified, disposed] = [0, 0];
  for (const lines of log.values())
    for (const { text } of lines) {
      const event = JSON.parse(text) as { event_type: string; action: string; resource_id: string; details: Record<string, unknown> }; // prettier-ignore
      const { event_type: type, action, resource_id: id, details } = event;
      if (type === 'integrity.failed')
        found.push(`a false integrity.failed of ${id} is in the log: ${JSON.stringify(details)}`);
      if (type === 'record.disposed' && action === 'dispose') {
        told.set(id, (told.get(id) ?? 0) + 1);
        if (details['cause'] === 'retention') disposed += 1;
      }
      if (type !== 'job.completed' || details['certificate'] !== 'disposal') continue;
      for (const line of details['collections'] as { readonly disposed?: { readonly count: number } }[])
        certified += line.disposed?.count ?? 0;
    }
  for (const id of watch.records.keys())
    if ((told.get(id) ?? 0) !== (watch.gone.has(id) ? 1 : 0)) found.push(`the log tells ${String(told.get(id) ?? 0)} times that ${id} was disposed of`); // prettier-ignore
  if (certified > disposed) found.push(`${String(certified)} disposals are certified, and there were ${String(disposed)}`); // prettier-ignore
  return found;
}

/** What was proven years ago is proven now, by what was taken home and by what is served. */
async function proofViolations(platform: Platform, proofs: readonly Proof[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (const { tenant, id, event, proof } of proofs) {
    const vkey = TEST_LOG_KEYS.vkeys(tenant)[0] ?? '';
    const now = await platform.auditLog.proofs.ofEvent(id, callOf(tenant, 'auditor', 'end'));
    const verdicts = await Promise.all(
      [proof, now.proof].map((one) => verifyEventProof(event, one, { vkey })),
    );
    if (now.event !== event || verdicts.some(({ verdict }) => verdict !== 'yes')) found.push(`the proof of ${id} does not verify any more`); // prettier-ignore
  }
  return found;
}
