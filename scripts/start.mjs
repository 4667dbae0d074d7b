// `npm start`: makes sure that dist/ is built from what is in src/, then becomes the daemon. In this very process, so that
// a signal sent to npm, which passes it on to its own child alone, reaches the daemon, and no parent is left to outlive it.
import './check-node.mjs';

import('./build.mjs').then(() => import('../dist/hypivisor.js'));
