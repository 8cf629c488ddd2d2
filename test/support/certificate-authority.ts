import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A certificate that an authority has signed, in files. */
export interface IssuedCertificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** An authority of a test's own. */
export interface CertificateAuthority extends Disposable {
  readonly caFile: string;
  readonly ca: Buffer;
  /** @param names such as `DNS:localhost,URI:spiffe://example.org/a`, as openssl writes them */
  issue(commonName: string, names: string): IssuedCertificate;
}

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

export function makeAuthority(): CertificateAuthority {
  const folder = mkdtempSync(join(tmpdir(), "spool-ca-"));
  const path = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "pipe" });
  const [caFile, caKey] = [path("ca.pem"), path("ca-key.pem")];
  const isAuthority = ["-addext", "basicConstraints=critical,CA:TRUE"];
  openssl(
    "req",
    "-x509",
    ...KEY,
    "-keyout",
    caKey,
    "-out",
    caFile,
    "-days",
    "2",
    "-subj",
    "/CN=authority",
    ...isAuthority,
  );
  let issued = 0;
  return {
    caFile,
    ca: readFileSync(caFile),
    issue(commonName, names) {
      const number = ++issued;
      const [certFile, keyFile] = [path(`cert-${number}.pem`), path(`key-${number}.pem`)];
      const [request, extensions] = [path("request.pem"), path("extensions")];
      writeFileSync(extensions, `subjectAltName=${names}\n`);
      openssl("req", ...KEY, "-keyout", keyFile, "-out", request, "-subj", `/CN=${commonName}`);
      const by = ["-CA", caFile, "-CAkey", caKey, "-CAcreateserial", "-days", "2", "-extfile", extensions];
      openssl("x509", "-req", "-in", request, ...by, "-out", certFile);
      return { certFile, keyFile, cert: readFileSync(certFile), key: readFileSync(keyFile) };
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}
