// Code that emits without awaiting must not end the process with an unhandled rejection. Only callers that await get
// the error.

export function ignoreRejection<Result>(promise: Promise<Result>): Promise<Result> {
  promise.catch(() => {});
  return promise;
}

export function silencedRejection(error: unknown): Promise<never> {
  return ignoreRejection(Promise.reject(error));
}
