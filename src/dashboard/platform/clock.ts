/** The time, for texts such as "3 m ago": one timer for all of them, and none while nobody looks. */
import { signal } from '@preact/signals';

const nowInSeconds = () => Math.floor(Date.now() / 1000);

/** Unix seconds, by this machine's clock; moves once a second. */
export const clock = signal(nowInSeconds());

setInterval(() => {
  if (document.visibilityState === 'visible') clock.value = nowInSeconds();
}, 1000);
document.addEventListener('visibilitychange', () => {
  clock.value = nowInSeconds();
});
