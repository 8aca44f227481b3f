/**
 * The house's floor plan, checked: which room of src/ may import which.
 * A room that is not listed as a target of another may not be entered from it.
 */
const rooms = {
  base: [],
  graph: [],
  runtime: ['base', 'graph'],
  tokenizer: ['base'],
  model: ['base', 'graph'],
  checkpoint: ['base', 'graph', 'runtime', 'model', 'tokenizer'],
  corpus: ['base'],
  dataset: ['base', 'tokenizer', 'corpus'],
  training: ['base', 'graph', 'runtime', 'tokenizer', 'model', 'checkpoint', 'dataset'],
  decoding: ['base', 'graph', 'runtime', 'tokenizer', 'model', 'checkpoint'],
  browser: ['base', 'graph', 'runtime', 'tokenizer', 'model', 'checkpoint', 'decoding'],
  evaluation: [
    'base',
    'graph',
    'runtime',
    'tokenizer',
    'model',
    'checkpoint',
    'corpus',
    'dataset',
    'training',
    'decoding',
  ],
  serving: ['base', 'checkpoint', 'decoding'],
};

const enterOnlyOwnRooms = Object.entries(rooms).map(([room, allowed]) => ({
  name: `${room}-imports`,
  comment: `src/${room} may import ${allowed.join(', ') || 'no other room'}.`,
  severity: 'error',
  from: { path: `^src/${room}/` },
  to: { path: '^src/', pathNot: [room, ...allowed].map((name) => `^src/${name}/`) },
}));

module.exports = {
  forbidden: [
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-unlisted-packages',
      severity: 'error',
      from: { path: '^src/' },
      // An optional peer is installed for the tests, and by whoever needs it.
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown', 'unknown'],
        dependencyTypesNot: ['npm-peer'],
      },
    },
    {
      name: 'source-does-not-know-its-tests',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench)/' },
    },
    ...enterOnlyOwnRooms,
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '\\.asc\\.ts$' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types'] },
  },
};
