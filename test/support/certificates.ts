import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Certificate } from "../../src/server/config/certificate.ts";

/** A certificate that signs itself, in files. */
export interface CertificateFiles extends Disposable, Certificate {
  readonly certFile: string;
  readonly keyFile: string;
}

/** @param names what it is for, as openssl writes it; this machine by default */
export function makeCertificate(names = "DNS:localhost,IP:127.0.0.1"): CertificateFiles {
  const folder = mkdtempSync(join(tmpdir(), "spool-tls-"));
  const certFile = join(folder, "cert.pem");
  const keyFile = join(folder, "key.pem");
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", keyFile];
  const args = [
    "req",
    "-x509",
    ...ec,
    "-out",
    certFile,
    "-days",
    "2",
    "-subj",
    "/CN=localhost",
    "-addext",
    `subjectAltName=${names}`,
  ];
  execFileSync("openssl", args, { stdio: "pipe" });
  return {
    certFile,
    keyFile,
    cert: readFileSync(certFile),
    key: readFileSync(keyFile),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}
