/** Every bound the platform sets, in one place. Sizes are bytes of UTF-8 unless the name says otherwise. */
const KIB = 1024;
const MIB = 1024 * KIB;

export const LIMITS = {
  bodyBytes: 1 * MIB,
  batchBodyBytes: 16 * MIB,
  batchItemBytes: 1 * MIB,
  batchItems: 100,
  pageItems: 1000,
  pageItemsDefault: 50,
  /** Range reads a single page may spend before it answers short with a cursor. */
  pageRangeReads: 12,
  nestingDepth: 32,
  /** Members of one submitted object and items of one submitted list. */
  collectionItems: 10_000,
  labelChars: 256,
  titleChars: 1000,
  textChars: 65_536,
  /** One stored envelope: a record that grew by actions is bounded like one that was posted. */
  recordBytes: 8 * MIB,
  listItems: 1000,
  /** People that the metadata of a record names: every sensitive value of it is sealed under the keys of them all. */
  subjects: 100,
  /** JSON text of one part of a record (a step, a message), UTF-16 code units. */
  partChars: 440 * 1024,
  /** The same as it is stored: with commitments, and what is encrypted of it as base64url. What an entity holds, with room. */
  partStoredChars: 500 * 1024,
  /** Parts of one record. */
  parts: 1_000_000,
  /** Entries that the answer to an addition shows at most; above it shows the one that was added. */
  partsAnswered: 50,
  /** Entries that are read with a record at most. */
  partsShown: 10_000,
  /** Distinct records that one record names as those it is derived from, and that all of a batch name together. */
  links: 1000,
  batchLinks: 5000,
  /** Steps from the root that a lineage is followed; how many records it finds in one step, looks at for them, and shows in all. */
  lineageDepth: 10,
  lineageLevelNodes: 100,
  lineageLevelCandidates: 1000,
  lineageNodes: 1000,
  lineageEdges: 10_000,
  /** Entries that one round moves into an append blob, and bytes of their lines. */
  partsMoved: 90,
  partsMovedBytes: 3 * MIB,
  /** An append blob of entries is followed by another beyond this. */
  partStreamBytes: 256 * MIB,
  memberNameChars: 256,
  idempotencyKeyChars: 255,
  headerValueChars: 256,
  cursorChars: 4096,
  /** Records kept for answers (REQ-STO-019), and tenants whose configuration is. */
  cacheBytes: 32 * MIB,
  cacheEntries: 10_000,
  /** Callers whose rate is kept, and as many tenants and addresses (src/security/rate-limiter.ts). */
  rateLimitedParties: 10_000,
  configurationTtlMs: 10 * 60_000,
  /** Keys that a process keeps unwrapped: for how long at most, of how many tenants, of how many data subjects. */
  keysKeptMs: 5 * 60_000,
  tenantKeysKept: 1000,
  dataKeysKept: 10_000,
  /** While storage fails, what is known of a configuration goes on for this long before it is asked again. */
  configurationRetryMs: 30_000,
  /** An `Authorization` header. Entra's tokens have a few thousand characters, with many groups some more. */
  tokenChars: 16 * KIB,
  /** How far the clocks of a sign-in service and ours may be apart. */
  tokenSkewMs: 60_000,
  /** Tokens that were found good, and for how long that is remembered. */
  acceptedTokens: 10_000,
  acceptedTokenMs: 5 * 60_000,
  /** Keys of a sign-in service are fetched again after this, and kept this long when it does not answer. */
  signInKeysFreshMs: 10 * 60_000,
  signInKeysKeptMs: 24 * 3_600_000,
  /** How soon after they were fetched an unknown key is reason enough to ask again; how soon after a failure. */
  signInCooldownMs: 30_000,
  signInRetryMs: 5_000,
  /** Refusals that are counted apart in one minute: of callers, and as many of those who are not signed in. */
  refusalEntries: 1000,
  /** Encoded value inside a row key, before it is cut and hashed (architecture.md, storage layout). */
  keyValueChars: 128,
  keyChars: 512,
  /** Legal holds of a tenant in force at a time; the reason of one and of its release; the name of a subject. */
  activeHolds: 1000,
  holdReasonChars: 2000,
  /** People that one revision or entry may name in all: the index of subjects has to hold them in one row. */
  subjectsNamed: 10_000,
  holdSubjectChars: 1000,
  /** Holds in force that a process remembers: for how long at most, and of how many tenants. */
  holdsKeptMs: 5_000,
  holdTenantsKept: 1000,
  /** Years that a tenant may have records kept at most, and collections that it may name for that. */
  retentionYears: 100,
  retentionRules: 100,
  /**
   * A pack of archived revisions: cool tiers bill a smaller blob as one of `packMinBytes`, so less waits; one is closed at
   * `packBytes` or `packMembers`, which is what a job holds in memory with one envelope more.
   */
  packMinBytes: 128 * KIB,
  packBytes: 1 * MIB,
  packMembers: 2000,
  /** Packs that one record is brought back from at a time, and for how long what was brought back stays. */
  rehydratedPacks: 200,
  rehydratedMs: 7 * 24 * 3_600_000,
  /**
   * A file with the values of a year: values and UTF-16 code units of lines that are compressed together, how many such
   * members the files of a year have (their index is a row), how many values, and how many files late values may make.
   */
  yearMemberValues: 4000,
  yearMemberChars: 512 * KIB,
  yearMembers: 6000,
  yearValues: 20_000_000,
  yearFiles: 20,
  /** Members of one file that one page of values is made of. */
  yearMembersRead: 8,
  eventBytes: 32 * KIB,
  /** Reads whose events are not stored yet: a second of what a tenant may ask by default. Beyond it they are counted. */
  readEvents: 10_000,
  /** Records of a type that a job takes on when it is asked for a sample: more is no sample. */
  sampleRecords: 1_000_000,
  createdAtAheadMs: 5 * 60_000,
  /** Partitions that one step makes part of a round, and messages that are sent at once; the name of a partition in one. */
  workPlanned: 100,
  workSends: 32,
  workPartitionChars: 1024,
  /** How long one message works, and how many do at once in a process: what they hold adds up, and callers wait beside them. */
  workMs: 20_000,
  workAtOnce: 4,
  /** Tries in a row that get nowhere before a partition is given up until the next round; the longest wait before one. */
  workAttempts: 8,
  workRetryS: 600,
  /** A message that nobody has heard of for this long may be lost. */
  workStaleMs: 15 * 60_000,

  /** Azure Table Storage: one entity-group transaction. */
  transactionRows: 100,
  transactionBytes: 4 * MIB,
  entityBytes: 1 * MIB,
  /** A string property is UTF-16: 64 KiB are 32,768 code units. */
  propertyBytes: 64 * KIB,
  rangeRows: 1000,
  /** Azure Queue Storage: one message, after base64. */
  messageBytes: 64 * KIB,
  appendBlockBytes: 4 * MIB,
  /** What is copied from one blob into another goes through the process in blocks of at most this. */
  blockBytes: 4 * MIB,
  /** Azure allows 50,000 blocks in an append blob; we roll before that. */
  streamBlocks: 40_000,
  sealRoundEvents: 1000,
  sealRoundBytes: 3 * MIB,
  /** Sensitive values that one proof discloses. */
  disclosures: 100,
  /** Events between two checkpoints of a log that is rebuilt. */
  rebuildEvents: 2048,
  /** What one turn of `verify-logs` takes of a log: bundles of 256 events, their bytes, and mismatches that it tells. */
  verifyBundles: 64,
  verifyBytes: 32 * MIB,
  verifyMismatches: 20,
  /** A signed note (a checkpoint) that is read, UTF-16 code units; C2SP asks for room for 16 signatures of 5 kB. */
  noteChars: 256 * KIB,
  noteSignatures: 32,
  /** Hashes on the way from a leaf to the root: trees have fewer than 2^53 leaves. */
  proofHashes: 64,
  /** A record's proof as somebody took it home: the record, the event and the way to the root, UTF-16 code units. */
  proofDocumentChars: 24 * MIB,
  proofDocumentDepth: 64,
  /** Seconds that an answer waits at most for its event to be sealed; answers that do, of a process and of a tenant. */
  receiptWaitS: 10,
  receiptsWaiting: 200,
  receiptsWaitingOfTenant: 50,
  /** Who reads a log over HTTP waits this long for one answer, and at most this long before asking again. */
  logRequestMs: 60_000,
  logRetryWaitMs: 60_000,

  /** Time one request may spend on storage before it answers 503. */
  storageBudgetMs: 20_000,
  storageTryMs: 10_000,
  /** Of it, what an answer waits for list rows that are written after the commit. */
  listRefreshMs: 5_000,
  /** A reservation older than this is taken over by a retry (http-api.md, Idempotency). */
  idempotencyTakeoverMs: 60_000,
  idempotencyKeptMs: 7 * 24 * 3_600_000,
  /** What is promised of it (http-api.md, Idempotency): no sweeper's clock may take more. */
  idempotencyPromisedMs: 4 * 24 * 3_600_000,
  /** How much longer than its reservation a `k:` row stays, whatever the clocks of those who wrote the two. */
  idempotencyGraceMs: 3_600_000,
  /** A commit happens within 60 s of announcing its partition; we announce again well before that. */
  announceFreshMs: 45_000,
  /** A dirty row is only removed by a check begun this long after it was last announced. */
  dirtyQuietMs: 3_600_000,
  /** A blob younger than this may still be named by its writer. */
  orphanAgeMs: 24 * 3_600_000,
  /** Added to it: the age is told by the writer's clock, which may be slow. */
  orphanMarginMs: 3_600_000,
  /** Findings of one code that a piece of a check tells apart. */
  fsckRepeats: 100,
  /** Pieces of a check with something suspicious that are kept until they are looked at again. */
  fsckDoubts: 200,
  /** What was written less than this ago may be under way: it is looked at again before it is said. */
  fsckYoungMs: 3 * 60_000,
} as const;
