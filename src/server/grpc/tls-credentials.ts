import { experimental, ServerCredentials } from "@grpc/grpc-js";
import type { Certificate } from "../config/certificate.ts";

type Provider = experimental.CertificateProvider;
type IdentityListener = Parameters<Provider["addIdentityCertificateListener"]>[0];
type CaListener = Parameters<Provider["addCaCertificateListener"]>[0];

/** The credentials of a gRPC server, whose certificate can be replaced. */
export interface TlsCredentials {
  readonly credentials: ServerCredentials;
  /** New connections get the new certificate. Open connections stay. */
  setCertificate(certificate: Certificate): void;
}

/** @param certificate null: no TLS */
export function tlsCredentials(certificate: Certificate | null): TlsCredentials {
  if (certificate === null) return { credentials: ServerCredentials.createInsecure(), setCertificate() {} };
  const provider = new CertificateProvider(certificate);
  const { clients } = certificate;
  // The library's declaration calls the parameters by each other's names: the provider of the server's own certificate
  // comes first.
  const credentials = experimental.createCertificateProviderServerCredentials(
    provider,
    clients === undefined ? null : provider,
    clients?.isRequired ?? false,
  );
  return { credentials, setCertificate: (next) => provider.set(next) };
}

class CertificateProvider implements Provider {
  readonly #identityListeners = new Set<IdentityListener>();
  readonly #caListeners = new Set<CaListener>();
  #certificate: Certificate;

  constructor(certificate: Certificate) {
    this.#certificate = certificate;
  }

  set(certificate: Certificate): void {
    this.#certificate = certificate;
    for (const listener of this.#caListeners) this.#sendCa(listener);
    for (const listener of this.#identityListeners) this.#sendIdentity(listener);
  }

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.add(listener);
    // Later, because the library adds its listener before it is ready to handle a call of the listener.
    queueMicrotask(() => this.#sendIdentity(listener));
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.delete(listener);
  }

  addCaCertificateListener(listener: CaListener): void {
    this.#caListeners.add(listener);
    queueMicrotask(() => this.#sendCa(listener));
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.#caListeners.delete(listener);
  }

  #sendIdentity(listener: IdentityListener): void {
    const { cert, key } = this.#certificate;
    listener({ certificate: cert, privateKey: key });
  }

  #sendCa(listener: CaListener): void {
    listener({ caCertificate: this.#certificate.clients!.ca });
  }
}
