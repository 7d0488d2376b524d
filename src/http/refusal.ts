import type { HttpRequest, InvocationContext } from '@azure/functions';
import { isAppError, type AppError } from '../domain/errors.js';
import { parseId } from '../domain/ids.js';
import type { RecordType } from '../domain/record-type.js';
import type { Caller } from '../security/caller.js';
import { addingOf } from '../storage/part-reader.js';
import { networkAddress } from './network-address.js';
import type { HttpServices } from './resource.js';

/** What was known of a request when it failed. */
export interface Seen {
  readonly platform?: HttpServices;
  /** Who was authenticated. */
  readonly caller?: Caller;
}

/** What the routes outside collections are about, by the names of their functions. */
const RESOURCES: Readonly<Record<string, { readonly type: string; readonly idPrefix?: string }>> = {
  'audit-events': { type: 'audit_event' },
  'audit-event': { type: 'audit_event', idPrefix: 'evt' },
  'audit-event-proof': { type: 'audit_event', idPrefix: 'evt' },
  'audit-log-checkpoint': { type: 'audit_log' },
  'audit-log-tile': { type: 'audit_log' },
  'audit-log-vkey': { type: 'audit_log' },
  'audit-log-anchor': { type: 'audit_log' },
  'audit-platform-checkpoint': { type: 'audit_log' },
  'audit-platform-vkey': { type: 'audit_log' },
  configuration: { type: 'tenant_configuration' },
  holds: { type: 'hold' },
  hold: { type: 'hold', idPrefix: 'hold' },
  'hold-release': { type: 'hold', idPrefix: 'hold' },
  erasures: { type: 'erasure' },
  erasure: { type: 'erasure', idPrefix: 'era' },
  'subject-erasure': { type: 'erasure' },
  operation: { type: 'operation', idPrefix: 'op' },
  jobs: { type: 'job' },
  'job-run': { type: 'job' },
  'job-pause': { type: 'job' },
  'job-resume': { type: 'job' },
  'jobs-pause': { type: 'job' },
  'jobs-resume': { type: 'job' },
};

/** Has a 401 or 403 counted for the audit trail; nobody waits for it. Other failures are no refusals. Never throws. */
export function onRefused(
  error: AppError,
  seen: Seen,
  request: HttpRequest,
  context: InvocationContext,
): void {
  const { platform, caller } = seen;
  if (platform === undefined || !isAppError(error, 'unauthenticated', 'forbidden')) return;
  const { reason, tenant } = error.evidence;
  const type = platform.types.findByCollection(request.params['collection'] ?? '');
  const resource = type === undefined ? RESOURCES[context.functionName] : { type: type.recordType, idPrefix: type.idPrefix }; // prettier-ignore
  const unsigned = error.code === 'unauthenticated';
  platform.refusals.count({
    code: unsigned ? 'unauthenticated' : 'forbidden',
    reason: typeof reason === 'string' ? reason : unsigned ? 'credentials' : 'role',
    actor: caller?.actor,
    tenant: caller?.tenant ?? (typeof tenant === 'string' ? tenant : undefined),
    address: networkAddress(request.headers.get('x-forwarded-for')),
    action: [request.method, context.functionName, ...actionOf(type, request.params['action'])].join(' '),
    resourceType: resource?.type ?? '-',
    resourceId: caller === undefined ? '-' : idOf(request.params['id'], resource?.idPrefix),
    correlationId: context.invocationId,
  });
}

/** Of the last segment only a name that is declared: anything else is made up by the caller. */
function actionOf(type: RecordType | undefined, action: string | undefined): readonly string[] {
  if (type === undefined || action === undefined) return [];
  return Object.hasOwn(type.actions, action) || addingOf(type, action) !== undefined ? [action] : [];
}

/** What has the form of an id of that kind; whether there is such a record nobody looked. */
function idOf(id: string | undefined, prefix: string | undefined): string {
  return id !== undefined && prefix !== undefined && parseId(id)?.prefix === prefix ? id : '-';
}
