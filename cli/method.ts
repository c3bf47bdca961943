import type { DescMethod } from '@bufbuild/protobuf';
import { SERVICES } from './client.ts';
import { refuse } from './failures.ts';

/** Every RPC of the contract, as `Service/Method`. */
export function listMethods(): readonly string[] {
  return Object.values(SERVICES).flatMap((service) => service.methods.map(({ name }) => `${service.name}/${name}`));
}

/** Finds an RPC by `Service/Method`, with or without the package. @throws INVALID_ARGUMENT naming what comes close. */
export function getMethod(path: string): DescMethod {
  const [serviceName = '', methodName = ''] = path.replace(/^\//, '').split('/');
  const services = Object.values(SERVICES);
  const service = services.find(({ name, typeName }) => name === serviceName || typeName === serviceName);
  if (service === undefined) {
    throw refuse(
      'method',
      `there is no service ${JSON.stringify(serviceName)}`,
      `Name one of ${services.map(({ name }) => name).join(', ')}.`,
    );
  }
  const method = service.methods.find(({ name }) => name === methodName);
  if (method !== undefined) return method;
  const known = service.methods.map(({ name }) => `${service.name}/${name}`).join(', ');
  throw refuse('method', `${service.name} has no method ${JSON.stringify(methodName)}`, `Call one of ${known}.`);
}
