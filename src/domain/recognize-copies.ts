/**
 * Makes `instanceof` recognise instances of other copies of a class. A server and the kinds that it loads may each have
 * a copy, from packages of their own.
 *
 * @param name the same in all copies
 */
export function recognizeCopies(type: abstract new (...parts: never) => object, name: string): void {
  const brand = Symbol.for(`spooltape.${name}`);
  Object.defineProperty(type.prototype, brand, { value: true });
  Object.defineProperty(type, Symbol.hasInstance, {
    value(this: unknown, value: unknown): boolean {
      if (this !== type) return Function.prototype[Symbol.hasInstance].call(this as typeof type, value);
      return typeof value === "object" && value !== null && brand in value;
    },
  });
}
