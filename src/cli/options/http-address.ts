import { UsageError } from "./usage-error.ts";

/** Parses the URL of an HTTP endpoint, which may have a path. Its path ends with `/`. @throws UsageError */
export function parseHttpAddress(text: string, from: string): URL {
  const url = URL.parse(text);
  const isValid = url !== null && /^https?:$/.test(url.protocol) && url.search === "" && url.hash === "";
  if (!isValid || url.username !== "" || url.password !== "") {
    throw new UsageError(`${from} "${text}": must be a URL such as https://spool.example:8080`);
  }
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}
