/** Starts the page. */
import { render } from 'preact';
import { listenToKeys } from './keys.ts';
import { watchBuild } from './state/build.ts';
import { connect } from './state/connection.ts';
import { keepUnread } from './state/fleet.ts';
import { learnHome } from './state/home.ts';
import { followAddress } from './state/opened.ts';
import { takeTokenFromAddress } from './state/token.ts';
import { beginTelling } from './telling/notify.ts';
import { keepTitle } from './telling/title.ts';
import { applyTheme } from './theme/apply.ts';
import { Shell } from './view/shell.tsx';

applyTheme();
takeTokenFromAddress();
followAddress();
keepUnread();
connect();
render(<Shell />, document.getElementById('app') as HTMLElement);
listenToKeys();
keepTitle();
watchBuild();
learnHome();
beginTelling();
