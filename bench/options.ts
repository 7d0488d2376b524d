/** Parts of the bench, each of which can be run alone. */
export const SECTIONS = [
  'process',
  'http',
  'types',
  'pages',
  'calls',
  'cpu',
  'load',
  'log',
  'lifecycle',
] as const;
export type Section = (typeof SECTIONS)[number];

export interface BenchOptions {
  readonly quick: boolean;
  /** File for the report as JSON. */
  readonly json: string | undefined;
  readonly sections: readonly Section[];
}

export const USAGE = `npm run bench -- [--quick] [--json FILE] [--only ${SECTIONS.join(',')}]`;

/** Reads the arguments; undefined when they cannot be understood. */
export function readOptions(args: readonly string[]): BenchOptions | undefined {
  let quick = false;
  let json: string | undefined;
  let sections: readonly Section[] = SECTIONS;
  const left = [...args];
  for (let arg = left.shift(); arg !== undefined; arg = left.shift()) {
    if (arg === '--quick') quick = true;
    else if (arg === '--json') json = left.shift() ?? '';
    else if (arg === '--only') {
      const names = (left.shift() ?? '').split(',');
      sections = SECTIONS.filter((section) => names.includes(section));
      if (sections.length !== names.length) return undefined;
    } else return undefined;
  }
  return json === '' ? undefined : { quick, json, sections };
}
