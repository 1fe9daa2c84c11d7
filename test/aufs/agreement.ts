/** The properties that all drivers agree on, with AUFS among them. Started by `run`. */
import { driver as aufs } from '../../drivers/aufs/index.ts';
import { driver as overlayfs } from '../../drivers/overlayfs/index.ts';
import { driver as vfs } from '../../drivers/vfs/index.ts';
import { agreement } from '../support/agreement.ts';
import { kernelFs, missing } from '../support/requires.ts';

const limits = { coarseTimes: true, noExchange: true };
agreement({ vfs, aufs }, undefined, limits);
agreement({ overlayfs, aufs }, missing(kernelFs('overlay')), limits);
