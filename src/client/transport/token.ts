/** @throws TypeError for a token that a header cannot carry */
export function checkToken(token: string | undefined): void {
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) throw new TypeError("token: must be printable ASCII");
}
