// Values that are hostile to what reads them.

export function no(): never {
  throw new Error("not to be read");
}

function trap(): never {
  throw new Error("a trap");
}

/** A proxy all of whose traps throw. */
export function hostile<Target extends object>(target: Target): Target {
  const names = Object.getOwnPropertyNames(Reflect).filter((name) => typeof Reflect[name as "get"] === "function");
  return new Proxy(target, Object.fromEntries(names.map((name) => [name, trap])));
}

export function revoked<Target extends object>(target: Target): Target {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

/** An error, or another object, with members that may be anything, getters too. */
export function having<Target extends object>(target: Target, members: PropertyDescriptorMap): Target {
  return Object.defineProperties(target, members);
}

export function alternating(...values: unknown[]): PropertyDescriptor {
  let reads = 0;
  return { enumerable: true, get: () => values[Math.min(reads++, values.length - 1)] };
}

export function circular(): { in: unknown[] } {
  const object: { in: unknown[] } = { in: [] };
  object.in.push(object, object.in);
  return object;
}

export function rethrow(thrown: unknown): never {
  throw thrown;
}

/** What is said of what has no text. */
export const UNTOLD = /threw a value that has no text/;
