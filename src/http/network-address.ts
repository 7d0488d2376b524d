import { isIPv6 } from 'node:net';
import { LIMITS } from '../domain/limits.js';

/**
 * Where requests come from that count together: an IPv4 address, the /64 of an IPv6 address (a household or a machine
 * has all of one), `unknown` without any. The platform's front end sets the header, last hop last, with a port that
 * changes with every connection; the local host sets it from the socket. Pure.
 */
export function networkAddress(forwardedFor: string | null): string {
  const last = forwardedFor?.split(',').at(-1)?.trim() ?? '';
  const bare = /^\[(.+)\](?::\d+)?$/.exec(last)?.[1] ?? /^([^:]+):\d+$/.exec(last)?.[1] ?? last;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1];
  if (mapped !== undefined) return mapped;
  if (isIPv6(bare)) return `${prefixOf(bare.toLowerCase())}::/64`;
  return bare === '' ? 'unknown' : bare.slice(0, LIMITS.headerValueChars);
}

/** The first four groups, without leading zeros. */
function prefixOf(address: string): string {
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  // An IPv4 address at the end stands for two groups.
  const length = [...groups, ...after].reduce((sum, group) => sum + (group.includes('.') ? 2 : 1), 0);
  const zeros = Array.from({ length: Math.max(0, 8 - length) }, () => '0');
  return [...groups, ...(tail === undefined ? [] : zeros), ...after]
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
}
