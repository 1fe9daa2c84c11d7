import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTslayerError } from '../../../src/errors.ts';
import { applyConfigChanges } from '../../../src/images/config-change.ts';

const change = (runtime: Record<string, unknown>, ...changes: string[]) => applyConfigChanges(runtime, changes);

test('commands come in exec form, in shell form, and with an equals sign', () => {
  assert.deepEqual(change({}, 'CMD ["echo", "a b"]'), { Cmd: ['echo', 'a b'] });
  assert.deepEqual(change({}, 'cmd echo "$HOME" b'), { Cmd: ['/bin/sh', '-c', 'echo "$HOME" b'] });
  assert.deepEqual(change({}, 'CMD=["sh"]'), { Cmd: ['sh'] });
  assert.deepEqual(change({ Shell: ['/bin/bash', '-c'] }, 'CMD ls'), {
    Shell: ['/bin/bash', '-c'],
    Cmd: ['/bin/bash', '-c', 'ls'],
  });
  assert.deepEqual(change({ Cmd: ['x'] }, 'CMD []'), { Cmd: [] });
});

test('a new entrypoint drops the old command, unless the command is set as well', () => {
  assert.deepEqual(change({ Cmd: ['old'] }, 'ENTRYPOINT ["new"]'), { Entrypoint: ['new'] });
  const both = { Entrypoint: ['new'], Cmd: ['arg'] };
  assert.deepEqual(change({ Cmd: ['old'] }, 'CMD ["arg"]', 'ENTRYPOINT ["new"]'), both);
});

test('environment and labels take pairs, quotes, variables and the old form', () => {
  const env = (...changes: string[]) => change({ Env: ['PATH=/bin', 'A=1'] }, ...changes).Env;
  assert.deepEqual(env('ENV A=2 B="b c" C=\'$PATH\''), ['PATH=/bin', 'A=2', 'B=b c', 'C=$PATH']);
  assert.deepEqual(env('ENV PATH=$PATH:/x'), ['PATH=/bin:/x', 'A=1']);
  assert.deepEqual(env('ENV D the rest of it'), ['PATH=/bin', 'A=1', 'D=the rest of it']);
  assert.deepEqual(env('ENV=E=$' + '{NONE:-default} F=$' + '{A:+set}'), ['PATH=/bin', 'A=1', 'E=default', 'F=set']);
  assert.deepEqual(change({ Labels: { a: '1' } }, 'LABEL a=2 "b c"=\\$x'), { Labels: { a: '2', 'b c': '$x' } });
});

test('ports, volumes, user, directory and signal', () => {
  assert.deepEqual(change({}, 'EXPOSE 80 53/UDP 8000-8001'), {
    ExposedPorts: { '80/tcp': {}, '53/udp': {}, '8000/tcp': {}, '8001/tcp': {} },
  });
  assert.deepEqual(change({ Volumes: { '/a': {} } }, 'VOLUME ["/b c"]', 'VOLUME /d /e'), {
    Volumes: { '/a': {}, '/b c': {}, '/d': {}, '/e': {} },
  });
  assert.deepEqual(change({}, 'USER 1000:1000', 'WORKDIR /a', 'WORKDIR b/../c', 'STOPSIGNAL SIGINT'), {
    User: '1000:1000',
    WorkingDir: '/a/c',
    StopSignal: 'SIGINT',
  });
});

test('what is no instruction, or has no value, is refused with the list of those there are', () => {
  for (const text of ['', 'RUN rm -rf /', 'CMD', 'COPY a b', 'EXPOSE 0', 'EXPOSE 70000', 'EXPOSE x', 'USER a b']) {
    assert.throws(
      () => change({}, text),
      (error) => isTslayerError(error, 'INVALID_ARGUMENT'),
      text,
    );
  }
  for (const text of ['ENV A', 'LABEL =x', 'ENV A="open', 'constructor x', 'CMD a\nUSER root']) {
    assert.throws(
      () => change({}, text),
      (error) => isTslayerError(error, 'INVALID_ARGUMENT'),
      text,
    );
  }
});
