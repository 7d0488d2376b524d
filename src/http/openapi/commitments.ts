/** JSON schema, as far as this file looks into it. */
type Schema = Readonly<Record<string, unknown>>;

const REFERENCE = { $ref: '#/components/schemas/Commitment' };

/**
 * A schema that also takes a commitment in the place of every value that `patterns` (`*`: any item, or any member that has no name) name: what is
 * sensitive is shown to some and not to others.
 */
export function withCommitments(schema: Schema, patterns: readonly string[]): Schema {
  return patterns
    .map((pattern) => pattern.split('/').slice(1))
    .reduce((changed, path) => at(changed, path.map(decoded)), schema);
}

const decoded = (token: string): string => token.replaceAll('~1', '/').replaceAll('~0', '~');

function at(schema: Schema, [head, ...rest]: readonly string[]): Schema {
  if (head === undefined) return { anyOf: [schema, REFERENCE] };
  return Object.fromEntries(
    Object.entries(schema).map(([keyword, value]) => [keyword, within(keyword, value, head, rest)]),
  );
}

/** What a keyword says, where it says something of the member `head`. */
function within(keyword: string, value: unknown, head: string, rest: readonly string[]): unknown {
  if (keyword === 'anyOf' || keyword === 'oneOf' || keyword === 'allOf')
    return (value as Schema[]).map((branch) => at(branch, [head, ...rest]));
  if (head === '*')
    return (keyword === 'items' || keyword === 'additionalProperties') && isSchema(value)
      ? at(value, rest)
      : value;
  if (keyword !== 'properties' || !isSchema(value) || !isSchema(value[head])) return value;
  return { ...value, [head]: at(value[head], rest) };
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
