/** kill -9 while images come, get names, are mounted and go. */
import { after, before } from 'node:test';
import { killScenes } from '../../support/kill-rig.ts';
import { type LayoutRegistry, layoutRegistry } from '../../support/layout-registry.ts';
import { addImage } from '../../support/memory-images.ts';

let registry: LayoutRegistry;
let image: string;
let other: string;

before(async () => {
  registry = await layoutRegistry();
  const base = { 'etc/motd': 'hello' };
  const first = await addImage(registry.content, [base, { one: '1'.repeat(5000) }]);
  const second = await addImage(registry.content, [base, { two: '2' }]);
  registry.publish({ 'app:1': first.root, 'app:2': second.root });
  [image, other] = [`${registry.host}/app:1`, `${registry.host}/app:2`];
});

after(() => registry[Symbol.asyncDispose]());

killScenes({ name: 'kill -9 at a system call that writes' }, [
  { command: 'pull into a new store', before: () => [], step: () => ['pull', image] },
  { command: 'pull beside another image', before: () => [['pull', other]], step: () => ['pull', image] },
  {
    command: 'rmi',
    before: () => [
      ['pull', image],
      ['pull', other],
    ],
    step: () => ['rmi', image],
    done: 'NOT_FOUND',
  },
  { command: 'tag', drivers: ['erofs'], before: () => [['pull', image]], step: () => ['tag', image, 'mine'] },
  {
    command: 'gc',
    before: () => [
      ['pull', image],
      ['pull', other],
      ['tag', other, 'x'],
      ['rmi', other],
    ],
    step: () => ['gc'],
  },
  {
    command: 'mount',
    before: () => [['pull', image]],
    step: () => ['mount', image, 'work'],
    done: 'ALREADY_EXISTS',
  },
  {
    command: 'umount',
    before: () => [
      ['pull', image],
      ['mount', image, 'work'],
    ],
    step: () => ['umount', 'work'],
    done: 'NOT_FOUND',
  },
  {
    command: 'pin',
    drivers: ['erofs'],
    before: () => [['pull', image]],
    step: () => ['pin', image, 'kept'],
    done: 'ALREADY_EXISTS',
  },
  {
    command: 'unpin',
    drivers: ['erofs'],
    before: () => [
      ['pull', image],
      ['pin', image, 'kept'],
    ],
    step: () => ['unpin', 'kept'],
    done: 'NOT_FOUND',
  },
  {
    command: 'fsck --repair',
    before: () => [['pull', image], ['damage']],
    step: () => ['repair'],
    known: ['blob', 'layer', 'layout', 'image'],
  },
  {
    command: 'convert to overlayfs',
    before: () => [['pull', image]],
    step: () => ['convert', 'overlayfs'],
  },
  {
    command: 'convert to erofs',
    drivers: ['overlayfs'],
    before: () => [
      ['pull', image],
      ['pull', other],
    ],
    step: () => ['convert', 'erofs'],
  },
  { command: 'convert to vfs', drivers: ['erofs'], before: () => [['pull', image]], step: () => ['convert', 'vfs'] },
]);
