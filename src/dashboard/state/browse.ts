/** The paths of the spawn dialog. Pure. */

export interface Crumb {
  name: string;
  path: string;
}

/** `/home/me/work` in home `/home/me` → ~, work. Folders above home cannot be browsed. */
export function crumbsOf(home: string, current: string): Crumb[] {
  const crumbs: Crumb[] = [{ name: '~', path: home }];
  if (!current.startsWith(`${home}/`)) return crumbs;
  let path = home;
  for (const name of current.slice(home.length + 1).split('/')) {
    path += `/${name}`;
    crumbs.push({ name, path });
  }
  return crumbs;
}

export const join = (folder: string, name: string): string =>
  folder.endsWith('/') ? folder + name : `${folder}/${name}`;

/** Why the daemon would refuse it as a new folder, which must be inside this one; null if it would not. */
export function newFolderProblem(name: string): string | null {
  const trimmed = name.trim();
  if (trimmed === '') return null;
  if (/^[/\\~]|^[A-Za-z]:/.test(trimmed)) return 'A name, or a path below this folder.';
  if (trimmed.split(/[/\\]/).includes('..')) return 'It may not lead out of this folder.';
  return null;
}
