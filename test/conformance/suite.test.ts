/** All classes in one process: each file also runs alone, as `npx tsx --test test/conformance/utf8.ts`. */
import './framing.ts';
import './pings.ts';
import './reserved-bits.ts';
import './opcodes.ts';
import './fragmentation.ts';
import './utf8.ts';
import './closing.ts';
import './sizes.ts';
