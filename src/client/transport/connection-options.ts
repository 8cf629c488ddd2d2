export interface ConnectionOptions {
  /** `host:port`, or `https://host:port` for TLS. Default: SPOOL_ADDRESS, else 127.0.0.1:50051. */
  address?: string | undefined;
  /** Bearer token, sent with every call. Default: SPOOL_TOKEN, else none. */
  token?: string | undefined;
  /**
   * Namespace of all calls. Default: SPOOL_CALL_NAMESPACE, else the only namespace that the token may use, else that of
   * the server's settings.
   */
  namespace?: string | undefined;
  /**
   * Certificates for TLS. Not with an address of `http://`. Default: the machine's authorities with an address of
   * `https://`, else no TLS.
   */
  tls?: TlsOptions | undefined;
}

/** Certificates and keys in PEM format. */
export interface TlsOptions {
  /** Certificate authorities to trust instead of the machine's. */
  ca?: string | Uint8Array | undefined;
  /** The client's certificate with its chain, for servers that ask for one. Needs `key`. */
  cert?: string | Uint8Array | undefined;
  /** The private key of the certificate. */
  key?: string | Uint8Array | undefined;
}
