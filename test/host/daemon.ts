/**
 * Stands in for a daemon: starts one agent, prints its process id, and then either stays ("stay") or has nothing to do.
 */

import { readdir } from 'node:fs/promises';
import { Jail } from '../../src/host/jail.ts';
import { spawnAgent } from '../../src/host/spawn.ts';

const [home = '', outputDirectory = '', stay, ...command] = process.argv.slice(2);
await spawnAgent(await Jail.open(home), { command, env: process.env, outputDirectory }, { path: '~' });
if (stay === 'stay') setInterval(() => {}, 1000);
console.log((await readdir(outputDirectory))[0]?.split('-')[1]);
