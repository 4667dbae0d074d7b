/** A component that is rendered anew only if its props changed. */
import { Component, type ComponentChildren, type FunctionComponent } from 'preact';

export function memo<P extends object>(render: (props: P) => ComponentChildren): FunctionComponent<P> {
  class Memo extends Component<P> {
    override shouldComponentUpdate(next: P): boolean {
      return differ(this.props as P, next);
    }
    override render(props: P) {
      return render(props);
    }
  }
  return Memo as unknown as FunctionComponent<P>;
}

function differ<P extends object>(a: P, b: P): boolean {
  for (const key of Object.keys(b) as (keyof P)[]) if (a[key] !== b[key]) return true;
  return Object.keys(a).length !== Object.keys(b).length;
}
