/**
 * Starts the init process as PID 1 of a new PID namespace and as the caller's own child, so that its pid, its
 * signals and its status are the caller's to see. It is a stub (sys/remote/stub.ts) that does what it is told until
 * it becomes the container's program.
 */
import { closeSync } from 'node:fs';
import { socketPair } from '../../sys/fd-passing.ts';
import { executableInMemory } from '../../sys/memfd.ts';
import { stubProgram } from '../../sys/remote/stub.ts';
import { InitProcess } from './init-process.ts';
import { insideNamespaces } from './inside-namespaces.ts';
import type { BootRequest } from './request.ts';
import { startStub } from './start-stub.ts';

export function bootInit(request: BootRequest): InitProcess {
  const stub = executableInMemory('init', stubProgram());
  const [mine, theirs] = socketPair();
  try {
    return new InitProcess(
      insideNamespaces(request, () => startStub(request, stub, theirs)),
      mine,
    );
  } catch (error) {
    closeSync(mine);
    throw error;
  } finally {
    closeSync(theirs);
    closeSync(stub);
  }
}
