/**
 * The import rules of docs/architecture.md. `npm run check:architecture` and `test/architecture/imports.test.ts` run
 * them. A folder rule names everything a folder may import of this repository; what it does not name is refused.
 */

/** The folders below `src/` that a rule is about; the rest of its name is where its files may look. */
const only = (name, from, allowed, comment) => ({
  name,
  comment,
  severity: 'error',
  from,
  to: { path: '^(src|functions|test|scripts)/', pathNot: allowed },
});

const AZURE_STORAGE =
  '^@azure/(data-tables|storage-blob|storage-queue|identity|keyvault-keys|core-[a-z-]+)(/|$)';
const FUNCTIONS = '^@azure/functions(/|$)';
/** What a dependency on a package resolves to. */
const inModules = (pattern) => pattern.replace('^', '(^|node_modules/)');

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment:
        'A cycle of imports is one module pretending to be several. Types count: they couple as code does.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'resolvable',
      comment: 'What cannot be resolved cannot be judged.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-dev-dependency',
      comment: 'What runs in production is a dependency of production.',
      severity: 'error',
      from: { path: '^(src|functions)/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'declared-dependency',
      comment: 'A package that somebody else happens to install is not ours to import.',
      severity: 'error',
      from: { path: '^(src|functions)/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'nobody-imports-tests',
      comment: 'Tests know the code; the code does not know tests.',
      severity: 'error',
      from: { path: '^(src|functions|scripts)/' },
      to: { path: '^(test|bench)/' },
    },

    // The folders, from the inside out.
    only(
      'domain-stands-alone',
      { path: '^src/domain/' },
      '^src/domain/',
      'What a business record is depends on nothing of ours.',
    ),
    {
      name: 'domain-does-no-io',
      comment:
        'Pure functions: hashing is allowed, files, sockets, processes, timers and the environment are not.',
      severity: 'error',
      from: { path: '^src/(domain|records)/' },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?crypto$' },
    },
    {
      name: 'domain-knows-no-cloud',
      comment: 'The domain would be the same on another cloud, and so are the record declarations.',
      severity: 'error',
      from: { path: '^src/(domain|records)/' },
      to: { path: inModules('^@azure/') },
    },
    only(
      'records-declare',
      { path: '^src/records/' },
      '^src/(records|domain)/',
      'A declaration is made of domain pieces and nothing else.',
    ),
    only(
      'storage-looks-inwards',
      { path: '^src/storage/', pathNot: '^src/storage/business-[a-z-]+\\.ts$' },
      '^src/(storage|domain)/',
      'Storage is below audit, lifecycle and security, which use its ports, keys and directory: never the other way.',
    ),
    only(
      'business-manager-knows-records',
      { path: '^src/storage/business-[a-z-]+\\.ts$' },
      '^src/(storage|domain|records)/',
      'The files of storage that speak of record types by name.',
    ),
    only(
      'audit-uses-storage',
      { path: '^src/audit/' },
      '^src/(audit|storage|domain)/|^src/telemetry/log\\.ts$',
      'The ledger is kept through the ports of storage. It logs what it cannot audit.',
    ),
    only(
      'verifier-stands-alone',
      { path: '^src/audit/verifier/' },
      '^src/audit/(verifier|log)/|^src/domain/limits\\.ts$',
      'An auditor takes the verifier home: formats and bounds, and nothing of how records are kept.',
    ),
    {
      name: 'verifier-runs-in-browsers',
      comment: 'Whatever the verifier imports has to be in a browser; its bundle is tested in one.',
      severity: 'error',
      from: { path: '^src/audit/verifier/' },
      to: { dependencyTypes: ['core'] },
    },
    only(
      'lifecycle-uses-storage',
      { path: '^src/lifecycle/' },
      '^src/(lifecycle|storage|domain)/|^src/telemetry/log\\.ts$',
      'Jobs work through the ports of storage.',
    ),
    only(
      'security-uses-storage',
      { path: '^src/security/' },
      '^src/(security|domain)/|^src/storage/(keys|ports|range|row-checksum|backoff|timed-cache|key-claim)\\.ts$',
      'Security keeps wrapped keys through the ports of storage, and does not know how a record is stored.',
    ),
    only(
      'telemetry-looks-inwards',
      { path: '^src/telemetry/' },
      '^src/(telemetry|domain)/|^src/storage/ports\\.ts$',
      'Logs know the two kinds of errors there are.',
    ),

    // The edges: how calls come in and how storage is reached.
    only(
      'http-delegates',
      { path: '^src/http/' },
      '^src/(http|storage|audit|lifecycle|security|domain|telemetry)/',
      'HTTP does not know queues, the cloud, or how the platform is wired.',
    ),
    only(
      'queue-delegates',
      { path: '^src/queue/' },
      '^src/(queue|storage|audit|lifecycle|security|domain|telemetry)/',
      'Queues do not know HTTP, the cloud, or how the platform is wired.',
    ),
    only(
      'cli-delegates',
      { path: '^src/cli/', pathNot: '^src/cli/bin\\.ts$' },
      '^src/(cli|storage|audit|lifecycle|security|records|domain|telemetry)/',
      'The command stands beside HTTP and queues.',
    ),
    only(
      'cli-is-handed-the-machine',
      { path: '^src/cli/bin\\.ts$' },
      '^src/cli/(run|files)\\.ts$|^src/composition\\.ts$',
      'The one file that hands the command its machine, and opens the storage of its environment; it does nothing itself.',
    ),
    only(
      'azure-implements-ports',
      { path: '^src/azure/' },
      '^src/(azure|domain)/|^src/storage/(ports|row-limits)\\.ts$',
      'The adapter knows the ports it implements and the limits it checks, and nothing of what they are used for.',
    ),
    {
      name: 'azure-sdk-in-azure-only',
      comment: 'One folder speaks to the Azure SDKs, so that one folder knows their faults.',
      severity: 'error',
      from: { path: '^(src|functions)/', pathNot: '^src/azure/' },
      to: { path: inModules(AZURE_STORAGE) },
    },
    {
      name: 'azure-folder-is-wired-once',
      comment:
        'Composition opens the storage, the library exports how, the local host opens queues. Nobody else.',
      severity: 'error',
      from: { path: '^(src|functions)/', pathNot: '^src/(azure/|local/|composition\\.ts$|index\\.ts$)' },
      to: { path: '^src/azure/' },
    },
    {
      name: 'functions-sdk-at-the-edge',
      comment: 'Who is called by Azure Functions knows it; who does the work does not.',
      severity: 'error',
      from: { path: '^(src|functions)/', pathNot: '^(functions|src/(http|queue|local))/' },
      to: { path: inModules(FUNCTIONS) },
    },
    only(
      'functions-bind-and-delegate',
      { path: '^functions/' },
      '^functions/|^src/(http|queue)/|^src/composition\\.ts$|^src/storage/keys\\.ts$',
      'A trigger names its binding and its handler. Queue names are constants of storage/keys.',
    ),
    only(
      'local-stays-local',
      { path: '^src/local/' },
      '^src/(local|azure|domain)/|^src/storage/(ports|keys)\\.ts$',
      'The local host runs any function app: it knows queues and ports, and nothing of records.',
    ),
    {
      name: 'nobody-imports-local',
      comment: 'What exists to run on one machine is in nobody’s way in Azure.',
      severity: 'error',
      from: { path: '^(src|functions)/', pathNot: '^src/local/' },
      to: { path: '^src/local/' },
    },

    // The files that wire.
    {
      name: 'platform-knows-no-cloud',
      comment: 'A platform runs on any ports: those of Azure and those of a test alike.',
      severity: 'error',
      from: { path: '^src/platform(-jobs)?\\.ts$' },
      to: { path: `^src/(azure|local|http|config|composition)|${inModules('^@azure/')}` },
    },
    {
      name: 'composition-is-the-top',
      comment:
        'Only functions and the command ask for the wired platform; whatever they call is given what it needs.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/cli/bin\\.ts$' },
      to: { path: '^src/composition\\.ts$' },
    },
    {
      name: 'platform-is-wired-above',
      comment: 'Only composition and the library know the whole.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(composition|index)\\.ts$' },
      to: { path: '^src/(platform|index)\\.ts$' },
    },
    {
      name: 'machine-is-handed-in',
      comment: 'The machine’s clock and randomness are arguments; only who wires takes them from here.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(composition|index)\\.ts$' },
      to: { path: '^src/(system|config)\\.ts$' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|coverage|\\.data)/' },
    // `import type` couples folders as much as any other import.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'node', 'default'],
    },
  },
};
