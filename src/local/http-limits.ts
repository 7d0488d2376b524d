const KIB = 1024;
const MIB = 1024 * KIB;

/** What the local host allows its connections. Times are milliseconds; each is noticed within `checkMs` more. */
export const HTTP_LIMITS = {
  /** From the first byte of a request, or from the connection, to the end of its head. */
  headMs: 20_000,
  /** To the end of its body. */
  requestMs: 120_000,
  /** Between an answer and the next request. */
  idleMs: 65_000,
  /** Without a byte in either direction, also while an answer is not being read. */
  silentMs: 180_000,
  checkMs: 2_000,
  /** Names and values of all headers, and the address. */
  headBytes: 16 * KIB,
  connections: 1_000,
  requestsPerConnection: 1_000,
  /** Of all bodies that are being read; one has at most 16 MiB. */
  bodiesBytes: 512 * MIB,
};

export type HttpLimits = Readonly<typeof HTTP_LIMITS>;
