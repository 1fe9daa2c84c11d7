/** The executable of the tests: the command line as it stands in the sources, without a build. */
import { runProcess } from '../../src/cli/main.ts';

await runProcess(process.argv.slice(2));
