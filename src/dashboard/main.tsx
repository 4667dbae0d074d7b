/** The page: begins everything. */
import { render } from 'preact';
import { connect } from './state/store.ts';
import { Shell } from './view/shell.tsx';

connect();
render(<Shell />, document.getElementById('app') as HTMLElement);
