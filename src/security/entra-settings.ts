import { isTenant } from '../storage/keys.js';

/** What tokens of Microsoft Entra ID are held against. */
export interface EntraSettings {
  /** Scheme and authority of the sign-in service, without a slash at the end. */
  readonly authority: string;
  /** What a token may be for: client ids and `api://…` names of this platform. */
  readonly audiences: readonly string[];
  /** The tenants here of each Entra tenant that may sign in, by its id in lower case. */
  readonly tenants: ReadonlyMap<string, readonly string[]>;
  /** The claim that names one of several tenants here; without it each Entra tenant has exactly one. */
  readonly tenantClaim: string | undefined;
}

export const DEFAULT_AUTHORITY = 'https://login.microsoftonline.com';
const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/** The form in which Entra writes ids of tenants, applications and people. Pure. */
export const isGuid = (value: unknown): value is string => typeof value === 'string' && GUID.test(value);

/** `https://host`, plain `http` only on the loopback interface; undefined for anything else. Pure. */
export function parseAuthority(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const secure = url.protocol === 'https:' || (url.protocol === 'http:' && LOOPBACK.has(url.hostname));
  const bare = url.href === `${url.origin}/`;
  return secure && bare ? url.origin : undefined;
}

/** Comma-separated names, at least one; undefined for anything else. Pure. */
export function parseAudiences(text: string): readonly string[] | undefined {
  const names = text.split(',').map((name) => name.trim());
  return names.every((name) => /^[\x21-\x7e]{1,256}$/.test(name)) ? names : undefined;
}

/** `<Entra tenant id>=<tenant>`, comma-separated; the same id again for one more tenant of it. Pure. */
export function parseTenants(text: string): ReadonlyMap<string, readonly string[]> | undefined {
  const tenants = new Map<string, readonly string[]>();
  for (const pair of text.split(',')) {
    const [id = '', tenant = '', ...more] = pair.split('=').map((part) => part.trim());
    const tid = id.toLowerCase();
    const known = tenants.get(tid) ?? [];
    if (!isGuid(tid) || !isTenant(tenant) || more.length > 0 || known.includes(tenant)) return undefined;
    tenants.set(tid, [...known, tenant]);
  }
  return tenants;
}

/** The issuers of an Entra tenant's tokens, of version 1 and of version 2 (Entra, access token claims). Pure. */
export function issuersOf(authority: string, tid: string): { readonly v1: string; readonly v2: string } {
  const china = authority.endsWith('.partner.microsoftonline.cn');
  const v1 = china ? 'https://sts.chinacloudapi.cn' : 'https://sts.windows.net';
  return { v1: `${v1}/${tid}/`, v2: `${authority}/${tid}/v2.0` };
}
