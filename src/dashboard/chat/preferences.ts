/** How the person reads, kept in this browser. */
import { effect, signal } from '@preact/signals';
import { load, save } from '../platform/storage.ts';

const KEY = 'pi-de.follow';

/** Following stops once the first line of the answer is at the top, instead of going on to its end. */
export const followsAnswerStart = signal(load(KEY) === 'start');

effect(() => save(KEY, followsAnswerStart.value ? 'start' : undefined));
