/** Parts of the page that are fetched when they are first needed. */
import { type ComponentType, h } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { notify } from '../state/notices.ts';

/** Shows nothing until the part is there. */
export function lazy<P extends object>(load: () => Promise<ComponentType<P>>) {
  let loaded: ComponentType<P> | null = null;
  return function Lazy(props: P) {
    const [Part, setPart] = useState<ComponentType<P> | null>(() => loaded);
    useEffect(() => {
      if (Part !== null) return;
      load().then(
        (part) => {
          loaded = part;
          setPart(() => loaded);
        },
        () =>
          notify({
            key: 'part',
            level: 'error',
            text: 'A part of this page could not be fetched. The hypivisor may be gone, or be a newer one.',
            action: { label: 'Reload', run: () => location.reload() },
          }),
      );
    }, []);
    return Part === null ? null : h(Part, props);
  };
}
