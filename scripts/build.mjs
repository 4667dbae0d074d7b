import { spawnSync } from 'node:child_process';

process.exitCode = spawnSync('npx', ['tsc', '-p', 'tsconfig.json'], { stdio: 'inherit' }).status ?? 1;
