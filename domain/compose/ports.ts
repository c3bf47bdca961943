import { COMPOSE_LIMITS } from './application.ts';
import { PORT_KEYS } from './key-rules.ts';
import { isMap, itemsOf, type Place, refuse, refuseFound, textOf, wholeOf } from './place.ts';
import { readKeys, type Translation } from './read-keys.ts';

/** What a service listens on: for the ingress, and for the other services only. */
export interface ServicePorts {
  readonly ports: readonly number[];
  readonly expose: readonly number[];
}

/** Ports that by custom do not speak plain HTTP, so that publishing them through the ingress would lead nowhere. */
const OTHER_PROTOCOLS: ReadonlyMap<number, string> = new Map([
  [21, 'FTP'],
  [22, 'SSH'],
  [25, 'SMTP'],
  [53, 'DNS'],
  [110, 'POP3'],
  [143, 'IMAP'],
  [389, 'LDAP'],
  [443, 'HTTPS'],
  [465, 'SMTP'],
  [587, 'SMTP'],
  [636, 'LDAP'],
  [993, 'IMAP'],
  [995, 'POP3'],
  [1433, 'SQL Server'],
  [1521, 'Oracle'],
  [1883, 'MQTT'],
  [2181, 'ZooKeeper'],
  [3306, 'MySQL'],
  [4222, 'NATS'],
  [5432, 'PostgreSQL'],
  [5671, 'AMQP'],
  [5672, 'AMQP'],
  [6379, 'Redis'],
  [8443, 'HTTPS'],
  [8883, 'MQTT'],
  [9042, 'Cassandra'],
  [9092, 'Kafka'],
  [11211, 'memcached'],
  [27017, 'MongoDB'],
]);

/** Protocols of `app_protocol` that the ingress speaks to a container. */
const HTTP = /^(?:http|http2|h2c|ws|grpc)$/;

/** Addresses that mean "every one of the host", which is what the ingress is to the outside. */
const EVERYWHERE = /^(?:0\.0\.0\.0|\[?::\]?)$/;

/** One published port (or range), before it is decided whether the ingress carries it. */
interface Published {
  readonly place: Place;
  readonly targets: readonly number[];
  readonly protocol: string;
  readonly appProtocol: string | undefined;
  readonly hostAddress: string;
}

/**
 * Reads `ports` and `expose`.
 *
 * Publishing on a host is replaced by the ingress, which speaks HTTP: the container's port is what counts, the host's
 * is only checked. A port of another protocol, or one published at one address only, stays reachable for the other
 * services; a warning says so. Nothing is ever published more widely than the file asks for.
 *
 * @throws INVALID_ARGUMENT for ports outside 1 to 65535, too many of them, and UDP: without it the service would be
 * deployed and useless.
 */
export function portsOf(ports: Place | undefined, exposed: Place | undefined, translation: Translation): ServicePorts {
  const published = ports ? fewItemsOf(ports).map((item) => readPort(item, translation)) : [];
  const carried = new Set<number>();
  const others = new Set<number>();
  for (const port of published) {
    const isHttp = isCarried(port, translation);
    for (const target of port.targets) (isHttp ? carried : others).add(target);
  }
  for (const port of exposed ? fewItemsOf(exposed).flatMap(readExposed) : []) others.add(port);
  if (ports) checkCount(ports, carried.size + others.size);
  if (exposed) checkCount(exposed, carried.size + others.size);
  return { ports: [...carried], expose: [...others].filter((port) => !carried.has(port)) };
}

function checkCount(place: Place, count: number): void {
  if (count > COMPOSE_LIMITS.ports) throw refuse(place, `${count} ports in all`, `at most ${COMPOSE_LIMITS.ports}`);
}

function fewItemsOf(place: Place): readonly Place[] {
  const items = itemsOf(place);
  if (items.length <= COMPOSE_LIMITS.ports) return items;
  throw refuse(place, `${items.length} entries`, `at most ${COMPOSE_LIMITS.ports}`);
}

function isCarried({ place, targets, appProtocol, hostAddress }: Published, { warn }: Translation): boolean {
  if (hostAddress !== '' && !EVERYWHERE.test(hostAddress)) {
    warn(place, 'not published, for the file binds it to one address of a host; other services reach it');
    return false;
  }
  const known = targets.map((port) => OTHER_PROTOCOLS.get(port)).find((protocol) => protocol !== undefined);
  const isOther = appProtocol === undefined ? known !== undefined : !HTTP.test(appProtocol);
  if (isOther) {
    const protocol = appProtocol === undefined ? known : 'the protocol that the file names';
    const why = known === 'HTTPS' ? 'the ingress ends HTTPS itself, and leads to HTTP' : `${protocol} is not HTTP`;
    warn(place, `not published, for ${why}; other services reach it`);
  }
  return !isOther;
}

function readPort(place: Place, translation: Translation): Published {
  const port = isMap(place.value) ? readLongPort(place, translation) : readShortPort(place);
  if (port.protocol !== 'tcp') {
    throw refuse(place, 'a port that is not TCP', 'TCP: the ingress carries HTTP, and nothing else is published');
  }
  return port;
}

/** `[ADDRESS:][HOST:]CONTAINER[/PROTOCOL]`; ports may be ranges, the host's may be empty. */
const SHORT = /^(?:(?:([0-9A-Fa-f.:[\]]+):)?(\d{0,5}(?:-\d{1,5})?):)?(\d{1,5}(?:-\d{1,5})?)(?:\/([A-Za-z]{1,10}))?$/;

function readShortPort(place: Place): Published {
  const text = typeof place.value === 'number' ? String(place.value) : place.value;
  const allowed = 'a port such as 80, "8080:80" or "8080:80/tcp"';
  const [, address = '', host = '', container, protocol = 'tcp'] =
    (typeof text === 'string' && text.length <= 100 && SHORT.exec(text)) || [];
  if (container === undefined) throw refuseFound(place, allowed);
  const targets = readPorts(place, container);
  const hosts = host === '' ? targets.length : readRange(place, host, 0).count;
  if (targets.length > 1 && hosts !== targets.length) {
    throw refuse(place, `${hosts} ports of a host for ${targets.length} of the container`, 'as many as there are');
  }
  return { place, targets, protocol: protocol.toLowerCase(), appProtocol: undefined, hostAddress: address };
}

function readLongPort(place: Place, translation: Translation): Published {
  const keys = readKeys(place, PORT_KEYS, translation);
  if (!keys.target) throw refuse(place, 'no target is set', 'target: the port of the container');
  if (keys.mode && !['ingress', 'host'].includes(textOf(keys.mode))) throw refuseFound(keys.mode, 'ingress or host');
  const { published } = keys;
  if (published && published.value !== '') readRange(published, rangeText(published), 0);
  if (keys.name) textOf(keys.name);
  return {
    place,
    targets: [wholeOf(keys.target, [1, 65_535])],
    protocol: keys.protocol ? textOf(keys.protocol).toLowerCase() : 'tcp',
    appProtocol: keys.app_protocol && textOf(keys.app_protocol).toLowerCase(),
    hostAddress: keys.host_ip ? textOf(keys.host_ip) : '',
  };
}

function readExposed(place: Place): readonly number[] {
  const text = rangeText(place);
  const [, range, protocol = 'tcp'] = /^([\d-]+)(?:\/([A-Za-z]{1,10}))?$/.exec(text) ?? [];
  if (range === undefined || !['tcp', 'udp'].includes(protocol.toLowerCase())) {
    throw refuseFound(place, 'a port such as 3000 or "3000/tcp"');
  }
  return readPorts(place, range);
}

function rangeText({ value }: Place): string {
  return typeof value === 'number' || typeof value === 'string' ? String(value) : '';
}

/** The container's ports of `80` or `80-89`. */
function readPorts(place: Place, text: string): readonly number[] {
  const { first, count } = readRange(place, text, 1);
  if (count > COMPOSE_LIMITS.ports) throw refuse(place, `${count} ports`, `at most ${COMPOSE_LIMITS.ports}`);
  return Array.from({ length: count }, (_, index) => first + index);
}

/** A port or a range of them. Those of a host begin with 0, which lets Docker choose. */
function readRange(place: Place, text: string, least: number): { readonly first: number; readonly count: number } {
  const [, from = '', to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  const [first, last] = [Number(from), Number(to)];
  if (from === '' || first < least || last > 65_535 || last < first) {
    throw refuseFound(place, `a port from ${least} to 65535, or a range such as 3000-3005`);
  }
  return { first, count: last - first + 1 };
}
