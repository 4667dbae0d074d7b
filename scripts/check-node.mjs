// To be imported first: says which Node.js is needed, and ends, before anything fails in an old one.
import { readFileSync } from 'node:fs';

const { engines } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const [neededMajor, neededMinor] = engines.node.replace('>=', '').split('.').map(Number);
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < neededMajor || (major === neededMajor && minor < neededMinor)) {
  const needed = `${neededMajor}.${neededMinor}`;
  process.stderr.write(`hypivisor needs Node.js ${needed} or later; this is Node.js ${process.versions.node}\n`);
  process.exit(1);
}
