/** What an author of a driver writes. Run as root with TMPDIR on btrfs: `node --test conformance.test.ts`. */
import { conformance } from 'tslayer/drivers/conformance';
import { driver } from './index.ts';

conformance('btrfs', { module: driver, maxLayers: Number.POSITIVE_INFINITY });
