// Code that emits without awaiting must not bring the process down with an unhandled rejection: who awaits is told of
// it, and nobody else.

export function quiet<Result>(promise: Promise<Result>): Promise<Result> {
  promise.catch(() => {});
  return promise;
}

export function rejected(error: unknown): Promise<never> {
  return quiet(Promise.reject(error));
}
