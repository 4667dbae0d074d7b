/// <reference path="./prism-core.d.ts" />
import Prism from 'prismjs/components/prism-core.js';

Object.assign(globalThis, { Prism });
