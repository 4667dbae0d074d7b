// `npm start`: builds dist/ if it is out of date, then becomes the daemon. It does so in this process, because npm passes a
// signal on to its own child only: so the signal reaches the daemon, and no parent outlives it.
import './check-node.mjs';

import('./build.mjs').then(() => import('../dist/hypivisor.js'));
