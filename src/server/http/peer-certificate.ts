import { TLSSocket } from "node:tls";
import { readClientCertificate } from "../../rpc/call/client-certificate.ts";
import type { ClientCertificate } from "../../rpc/call/identity.ts";
import type { HttpRequest } from "./http-server.ts";

/** The certificates of connections, so that each is read once. */
const certificates = new WeakMap<object, ClientCertificate | null>();

/** Returns the verified certificate of a request's connection; null: the client has presented none. */
export function peerCertificate(request: HttpRequest): ClientCertificate | null {
  // Over HTTP/2, `socket` of a request is a new object for each request.
  const socket = "stream" in request ? request.stream.session?.socket : request.socket;
  if (!(socket instanceof TLSSocket)) return null;
  let certificate = certificates.get(socket);
  if (certificate === undefined) {
    certificate = socket.authorized ? readClientCertificate(socket.getPeerCertificate()) : null;
    certificates.set(socket, certificate);
  }
  return certificate;
}
