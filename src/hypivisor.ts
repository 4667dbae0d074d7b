#!/usr/bin/env node
/**
 * The program: checks that this Node.js is new enough, then runs the command. It has no `import` at its top and no
 * syntax that an old Node.js lacks, so people with an old one get a sentence instead of a syntax error.
 */
const NEEDED_MAJOR = 20;
const NEEDED_MINOR = 12;

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major > NEEDED_MAJOR || (major === NEEDED_MAJOR && minor >= NEEDED_MINOR)) {
  import('./main.ts');
} else {
  const needed = `${NEEDED_MAJOR}.${NEEDED_MINOR}`;
  process.stderr.write(`hypivisor needs Node.js ${needed} or later; this is Node.js ${process.versions.node}\n`);
  process.exitCode = 1;
}
