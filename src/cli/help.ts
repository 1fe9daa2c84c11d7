/** `tslayer --help`: all commands on one screen. */
import type { CommandEntry, CommandGroup } from './command.ts';

const GROUPS: readonly CommandGroup[] = ['Images', 'File systems', 'Containers', 'Registries', 'Store', 'More'];

export function overview(commands: readonly CommandEntry[]): string {
  const width = Math.max(...commands.map((command) => command.name.length));
  const sections = GROUPS.map((group) => {
    const lines = commands
      .filter((command) => command.group === group)
      .map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`);
    return lines.length === 0 ? '' : `\n${group}:\n${lines.join('\n')}\n`;
  });
  return `Usage: tslayer [options] COMMAND …

Pulls OCI images, keeps their layers once, and mounts and runs them copy-on-write. No daemon.
${sections.join('')}
Options of every command: --root DIR, --driver NAME, --config FILE, --json, --quiet, --log-level LEVEL, --no-color,
--plain-http, --insecure. See tslayer COMMAND --help.
`;
}
