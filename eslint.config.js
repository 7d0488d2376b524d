import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

/**
 * typescript-eslint's strict and stylistic sets with types. Only bugs and lies are worth an interruption: what
 * prettier or the compiler says already is not said again, and every rule that is off says why.
 */
export default defineConfig(
  globalIgnores([
    'dist/',
    'dist-package/',
    'node_modules/',
    'coverage/',
    '.data/',
    '.build-lock/',
    '.stryker-tmp/',
  ]),
  {
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: 'error',
      'no-console': 'error',
      'no-constant-binary-expression': 'error',
      'no-control-regex': 'error',
      'no-implicit-coercion': ['error', { allow: ['*'] }], // `1 * MIB` is a quantity, not a conversion
      'no-self-compare': 'error',
      'no-template-curly-in-string': 'error',
      'no-unmodified-loop-condition': 'error',
      'no-unreachable-loop': ['error', { ignore: ['ForOfStatement'] }], // reading the first of a stream and leaving
      'no-unused-private-class-members': 'error',
      'no-useless-assignment': 'error',
      'no-var': 'error',
      'object-shorthand': 'error',
      'prefer-const': 'error',
    },
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // `row['name']` says that the member comes from an index signature and may be missing.
      '@typescript-eslint/dot-notation': ['error', { allowIndexSignaturePropertyAccess: true }],
      // A number in a text is a number in a text.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // `() => log.info(…)` is how void functions are passed on, and `return resolve();` how one leaves early.
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      // A method of an asynchronous port is async so that whatever it throws is a rejection.
      '@typescript-eslint/require-await': 'off',
      // `a !== undefined && a.b < c` narrows step by step and reads as it runs.
      '@typescript-eslint/prefer-optional-chain': 'off',
      // A default case that throws or complains handles the rest on purpose.
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      // An empty environment variable counts as one that is not set: `||` means just that for strings.
      '@typescript-eslint/prefer-nullish-coalescing': ['error', { ignorePrimitives: { string: true } }],
      // A union that has one member so far is still a type, and an interface is no JSON object.
      '@typescript-eslint/consistent-type-definitions': 'off',
      // `as T` names what the value is; `!`, which this rule would have instead, is refused by the strict set.
      '@typescript-eslint/non-nullable-type-assertion-style': 'off',
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      // A parsed answer is looked into member by member; what is not there fails the expectation.
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      // `expect(port.commit)` and spies name methods without calling them.
      '@typescript-eslint/unbound-method': 'off',
      // What is printed of a parsed answer is compared with what is expected: `[object Object]` would not pass.
      '@typescript-eslint/no-base-to-string': 'off',
      // A flag that a callback sets while the test waits looks to these two as if it never changed.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      'no-unmodified-loop-condition': 'off',
      // A stub that does nothing is the point of a stub.
      '@typescript-eslint/no-empty-function': 'off',
      // Ids and cipher texts are ASCII: taking them apart by character is safe.
      '@typescript-eslint/no-misused-spread': 'off',
      // Messages of a failing test may print whatever they got.
      '@typescript-eslint/restrict-template-expressions': 'off',
    },
  },
  {
    // Scripts run before there is a build and are plain JavaScript; so are the configurations.
    files: ['**/*.{js,mjs,cjs}'],
    extends: [tseslint.configs.disableTypeChecked],
    rules: { 'no-console': 'off' }, // their output is what they are for
  },
);
